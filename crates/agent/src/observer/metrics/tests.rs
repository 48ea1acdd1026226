use super::*;
use crate::shutdown::Shutdown;
use ciliate_api::settings::resolve;
use ciliate_flow::{Run, Time};
use ciliate_observer::{Loss, LossSource};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn config(pairs: &[(&str, &str)]) -> Config {
    let flags: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    resolve(&flags, |_| None, None).unwrap().1
}

async fn get(address: SocketAddr, path: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn scrapes_are_answered_and_settings_take_effect_while_it_runs() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let with =
        |metrics| config(&[("hubble-metrics-server", &address.to_string()), ("hubble-metrics", metrics)]);
    let (mut inlets, observer) = Observer::new(Arc::default(), Run::new(1), 100, None);
    let configs = watch::Sender::new(with("flow"));
    let server = Server::start(&with("flow"), &observer, configs.subscribe(), Reports::default());
    let server = server.unwrap().unwrap();
    let shutdown = Shutdown::default();
    let serving = tokio::spawn(server.serve(shutdown.clone()));
    inlets.flows.append(Flow::from_message(&Default::default()).unwrap());
    let text = get(address, "/metrics", "text/plain").await;
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("version=0.0.4"), "{text}");
    assert!(text.contains("hubble_flows_processed_total{") && text.contains("} 1\n"), "{text}");
    let open = get(address, "/metrics", "application/openmetrics-text;version=1.0.0").await;
    assert!(
        open.contains("content-type: application/openmetrics-text") && open.contains("# EOF\n"),
        "{open}"
    );
    let loss = |source, count| Loss { source, count, first: Time(1), last: Time(2) };
    inlets.losses.put(loss(LossSource::ObserverEventsQueue, 3));
    inlets.losses.put(loss(LossSource::ObserverEventsQueue, 4));
    let lost = get(address, "/metrics", "text/plain").await;
    for row in ["observer_events_queue\"} 7\n", "perf_event_ring_buffer\"} 0\n", "hubble_ring_buffer\"} 0\n"]
    {
        assert!(lost.contains(&format!("hubble_lost_events_total{{source=\"{row}")), "{lost}");
    }
    assert!(get(address, "/", "*/*").await.starts_with("HTTP/1.1 404"));
    // A mistake changes nothing; what comes after it does.
    configs.send_replace(with("flwo"));
    configs.send_replace(with("drop"));
    let changed = async {
        while get(address, "/metrics", "*/*").await.contains("hubble_flows_processed_total") {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    time::timeout(Duration::from_secs(10), changed).await.unwrap();
    shutdown.begin();
    time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
}

#[test]
fn mistakes_are_told_with_the_setting_that_has_them() {
    let failure = check(&config(&[("hubble-metrics", "dns drop:x")])).unwrap_err();
    assert!(
        failure.to_string().contains("setting hubble-metrics: metric drop: option \"x\" is unknown"),
        "{failure}"
    );
    let missing = config(&[("hubble-dynamic-metrics-config-path", "/nonexistent/metrics.yaml")]);
    let error = format!("{:#}", wanted(&missing).unwrap_err());
    let expected =
        "setting hubble-dynamic-metrics-config-path: cannot read /nonexistent/metrics.yaml: No such file";
    assert!(error.starts_with(expected), "{error}");
    let (_inlets, observer) = Observer::new(Arc::default(), Run::new(1), 1, None);
    let off = config(&[]);
    assert!(
        Server::start(&off, &observer, watch::Sender::new(off.clone()).subscribe(), Reports::default())
            .unwrap()
            .is_none()
    );
}
