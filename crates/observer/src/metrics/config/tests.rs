use super::*;

const BOUNDS: Bounds = Bounds { series: 10, ttl: None };

#[test]
fn errors_say_what_would_be_right() {
    for (text, expected) in [
        (
            "dsn",
            "metric \"dsn\" is unknown: there are dns, drop, flow, flows-to-world, http, httpV2, icmp, kafka, policy, \
             port-distribution, sctp, tcp",
        ),
        ("dns drop dns:query", "metric dns is there twice: give it once, with all its options"),
        ("http httpV2", "the metrics http and httpV2 have the same names: choose one"),
        ("drop:query", "metric drop: option \"query\" is unknown: it has sourceContext,"),
        ("dns:querry", "metric dns: option \"querry\" is unknown: it has query, ignoreAAAA, sourceContext,"),
        ("dns:query;QUERY", "metric dns: option QUERY is there twice"),
        ("dns:query=yes", "metric dns: option query is \"yes\": write it alone, or =true or =false"),
        (
            "tcp:sourceContext=pod|pid",
            "metric tcp: option sourceContext is \"pod|pid\": \"pid\" is none of identity, namespace, pod, pod-name, dns, \
             ip, reserved-identity, workload, workload-name, app, which are joined by '|'",
        ),
        ("tcp:sourceContext", "metric tcp: option sourceContext has no value: \"\" is none of identity"),
        (
            "tcp:labelsContext=source_ip,x",
            "option labelsContext is \"source_ip,x\": \"x\" is none of source_ip,",
        ),
        (
            "tcp:ttl=5",
            "metric tcp: option ttl is \"5\": write a time from 1s to 365d such as 90s, 5m or 2h, or 0",
        ),
        ("tcp:ttl=99999999999999999999h", "write a time from 1s to 365d"),
        ("tcp:max-series=0", "metric tcp: option max-series is \"0\": write a number from 1 to 10000000"),
    ] {
        let error = Config::parse(text, BOUNDS).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (document, expected) in [
        ("metrics: 5", "this is no list of metrics: "),
        ("metrics: [{name: dns, filters: []}]", "unknown field `filters`"),
        (
            "metrics: [{name: dns, excludeFilters: [{verdicts: [DROPPED]}]}]",
            "metric dns: a filter has no field \"verdicts\": it has destination_cluster_name, ",
        ),
        (
            "metrics: [{name: dns, includeFilters: [{verdict: [DROPPED]}, {source_ip: [x]}]}]",
            "metric dns: includeFilters[1].source_ip: \"x\" is neither an address nor a prefix",
        ),
        (
            "metrics: [{name: dns, excludeFilters: [{http_path: ['(']}]}]",
            "metric dns: excludeFilters[0].http_path: \"(\" is no regular expression",
        ),
        ("{\"metrics\": [{\"name\": \"tcp\"}, {\"name\": \"tcp\"}]}", "metric tcp is there twice"),
    ] {
        let error = Config::from_document(document, BOUNDS).unwrap_err().to_string();
        assert!(error.contains(expected), "{document}: {error}");
    }
}

#[test]
fn what_is_written_is_what_is_done() {
    let config = Config::parse("  dns:query;ttl=5m;\n\tport-distribution:max-series=7 ", BOUNDS).unwrap();
    let [dns, ports] = config.specs.as_slice() else { panic!("two: {config:?}") };
    assert_eq!(dns.kind, Kind::Dns { query: true, ignore_aaaa: false });
    assert_eq!(dns.bounds, Bounds { series: 10, ttl: Some(std::time::Duration::from_secs(300)) });
    assert_eq!((ports.kind, ports.bounds.series), (Kind::PortDistribution, 7));
    assert!(Config::parse("", BOUNDS).unwrap().is_empty());
    assert!(Config::from_document("metrics: []", BOUNDS).unwrap().is_empty());
    let written = "metrics: [{name: dns, contextOptions: [{name: query}, {name: ttl, values: [5m]}]},
                              {name: port-distribution, contextOptions: [{name: max-series, values: ['7']}]}]";
    assert_eq!(Config::from_document(written, BOUNDS).unwrap(), config);
}
