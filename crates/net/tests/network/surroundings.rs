//! What a host has besides devices: settings of the kernel, addresses that change, namespaces.

use crate::stage::{Host, WAIT, router};
use ciliate_net::{AddressWatch, Error, Family, Netlink, Netns, Sysctls};
use std::{fs, path::PathBuf, time::Duration};

#[test]
fn kernel_settings_come_back_as_they_were() {
    let host = Host::new("host");
    let file = std::env::temp_dir().join(format!("cil-test-sysctl-{}.json", std::process::id()));
    host.run(|| {
        host.ip("link add lan type veth peer name wan");
        let set = |key: &str, value: &str| fs::write(format!("/proc/sys/{key}"), value).unwrap();
        set("net/ipv6/conf/wan/forwarding", "1");
        set("net/ipv6/conf/wan/accept_ra", "0");
        set("net/ipv4/conf/lan/forwarding", "1");
        let all = || -> Vec<(PathBuf, String)> {
            let mut found = Vec::new();
            let mut folders = vec![PathBuf::from("/proc/sys/net/ipv4"), PathBuf::from("/proc/sys/net/ipv6")];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                    let name = entry.file_name().unwrap().to_string_lossy().into_owned();
                    match fs::read_to_string(&entry) {
                        _ if entry.is_dir() => folders.push(entry),
                        // These count and are made up at random.
                        Ok(text) if !name.contains("stable_secret") && !name.contains("mem") => {
                            found.push((entry, text))
                        }
                        _ => {}
                    }
                }
            }
            found.sort();
            found
        };
        let get = |key: &str| fs::read_to_string(format!("/proc/sys/{key}")).unwrap().trim().to_owned();
        let before = all();
        let mut saved = Sysctls::open(&file).unwrap();
        assert!(saved.is_empty());
        saved.forward(Family::V4).unwrap();
        saved.forward(Family::V6).unwrap();
        saved.set("net.ipv4.conf.wan.rp_filter", "2").unwrap();
        saved.set("net.ipv4.conf.wan.rp_filter", "1").unwrap();
        assert_eq!(get("net/ipv4/ip_forward"), "1");
        assert_eq!(get("net/ipv6/conf/all/forwarding"), "1");
        assert_eq!(get("net/ipv6/conf/lan/accept_ra"), "2", "a router that listens to routers");
        assert_eq!(get("net/ipv6/conf/wan/accept_ra"), "0", "as somebody wanted it");

        // As after a crash: what was noted on disk is enough.
        drop(saved);
        let mut saved = Sysctls::open(&file).unwrap();
        saved.forward(Family::V6).unwrap();
        let errors = saved.restore();
        assert!(errors.is_empty(), "{errors:?}");
        for (was, is) in before.iter().zip(all()) {
            assert_eq!(*was, is);
        }
        assert!(!file.exists());

        // What somebody else changed meanwhile stays; what is gone is no error.
        let mut saved = Sysctls::open(&file).unwrap();
        saved.set("net.ipv4.conf.lan.rp_filter", "2").unwrap();
        saved.set("net.ipv4.conf.all.rp_filter", "2").unwrap();
        set("net/ipv4/conf/all/rp_filter", "1");
        host.ip("link del lan");
        assert!(saved.restore().is_empty());
        assert_eq!(get("net/ipv4/conf/all/rp_filter"), "1");

        assert!(matches!(saved.set("net.ipv4.nonsense", "1"), Err(Error::Sysctl { .. })));
        assert!(matches!(saved.set("../../etc/passwd", "1"), Err(Error::SysctlKey(_))));
    });
}

#[test]
fn a_change_of_addresses_is_noticed() {
    let host = Host::new("host");
    host.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = AddressWatch::new().unwrap();
            let silence = tokio::time::timeout(Duration::from_millis(100), watch.changed()).await;
            assert!(silence.is_err(), "nothing has changed yet");
            Netlink::new().unwrap().ensure_router(&router()).unwrap();
            tokio::time::timeout(WAIT, watch.changed()).await.expect("a change is seen").unwrap();
            let silence = tokio::time::timeout(Duration::from_millis(100), watch.changed()).await;
            assert!(silence.is_err(), "a burst is one change");
        });
    });
}

#[test]
fn namespaces_are_told_apart_and_from_other_things() {
    let (a, b) = (Host::new("a"), Host::new("b"));
    assert_ne!(a.netns.id().unwrap(), b.netns.id().unwrap());
    assert_eq!(a.netns.id().unwrap(), Netns::open(&a.path).unwrap().id().unwrap());
    assert_eq!(a.netns.id().unwrap(), a.run(|| Netns::current().unwrap().id().unwrap()));
    assert_ne!(a.netns.id().unwrap(), Netns::current().unwrap().id().unwrap());
    assert_eq!(
        Netns::of_pid(std::process::id()).unwrap().id().unwrap(),
        Netns::current().unwrap().id().unwrap()
    );
    assert!(Netns::create(&a.path).unwrap_err().to_string().contains("File exists"));
    assert_eq!(Netns::open(&a.path).unwrap().id().unwrap(), a.netns.id().unwrap(), "and it is still there");
    for path in ["/etc/passwd", "/proc/self/ns/mnt", "/dev/null", "/tmp"] {
        let error = Netns::open(path.as_ref()).unwrap_err();
        assert!(matches!(error, Error::NotANamespace(_)), "{path}: {error}");
    }
    assert!(Netns::of_pid(u32::MAX).unwrap_err().is_missing());
    assert!(Netns::open("/nowhere".as_ref()).unwrap_err().is_missing());
    let lo = a.netlink().link("lo").unwrap().unwrap();
    assert!(lo.up && lo.index == 1);
}
