//! The story of `mediabot`: rules about names, with a real resolver and real clients, through the end of the agent and of the
//! proxy. Needs root.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests state plainly what they expect")]

#[path = "end_to_end/observed.rs"]
mod observed;
#[path = "end_to_end/outside.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod outside;
#[path = "end_to_end/stage.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod stage;
#[path = "end_to_end/story.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod story;

use outside::{BY_NAME, BY_PATTERN, BY_PORT, Bot, NEVER, outside, resolver};
use stage::{eventually, inside};
use std::net::{IpAddr, TcpStream};
use story::{agent, kill_hard, proxy};

#[test]
fn mediabot_reaches_what_it_may_by_name_whoever_runs() {
    inside("mediabot_reaches_what_it_may_by_name_whoever_runs", |stage| {
        outside(stage);
        stage.done(&["up"]);
        resolver(stage);
        let bot = Bot::new(stage);
        eventually("the resolver answers", || !bot.resolve("api.twitter.com").is_empty());
        assert!(bot.reaches("www.example.com", 80), "without a policy everything is reachable");

        let apply = |policy| stage.done(&["apply", "-f", &stage.file("fqdn.yaml", policy)]);
        apply(BY_NAME);
        assert!(bot.reaches("api.twitter.com", 80));
        assert!(!bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 80));

        apply(BY_PATTERN);
        assert!(bot.reaches("api.twitter.com", 80), "known addresses follow the rules");
        assert!(bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 80));

        apply(BY_PORT);
        assert!(bot.reaches("www.twitter.com", 443));
        assert!(!bot.reaches("www.twitter.com", 80));
        assert!(!bot.reaches("www.example.com", 443));

        let list = stage.done(&["fqdn", "cache", "list", "--matchpattern", "*.twitter.com"]);
        assert!(list.contains("www.twitter.com") && list.contains("198.51.100.11"), "{list}");
        assert!(!list.contains("example"), "{list}");
        assert!(stage.done(&["fqdn", "names"]).contains("*.twitter.com"));

        // Flows tell what was asked and answered, and the names of what was reached.
        let flows = observed::request_flows(stage);
        let dns = |kind: &str| {
            let of = |flow: &&serde_json::Value| {
                let dns = &flow["l7"]["dns"];
                flow["l7"]["type"] == kind && dns["query"] == "www.twitter.com." && dns["qtypes"][0] == "A"
            };
            flows.iter().find(of).unwrap_or_else(|| panic!("{kind}: {flows:#?}"))
        };
        let (query, answer) = (dns("REQUEST"), dns("RESPONSE"));
        assert_eq!(query["egress_allowed_by"][0]["name"], "fqdn", "{query}");
        assert_eq!(query["source"]["pod_name"], answer["destination"]["pod_name"], "{answer}");
        assert_eq!(answer["l7"]["dns"]["ips"][0], "198.51.100.11", "{answer}");
        assert_eq!(answer["l7"]["dns"]["rrtypes"][0], "A", "{answer}");
        assert!(answer["l7"]["dns"]["rcode"].as_u64().unwrap_or(0) == 0, "{answer}");
        let named = |name: &str| {
            let flows = stage.done(&["observe", "--last", "100", "--to-fqdn", name, "-o", "json"]);
            flows.lines().any(|line| line.contains("\"destination_names\":[\""))
        };
        eventually("the flows have names", || {
            assert!(bot.reaches("www.twitter.com", 443));
            named("www.twitter.com")
        });

        // The agent is gone: names go on, also new ones, and so do denials.
        kill_hard(agent(stage));
        assert!(bot.reaches("new.twitter.com", 443));
        assert!(bot.reaches("www.twitter.com", 443));
        assert!(!bot.reaches("www.example.com", 443));

        // A new one takes nothing away.
        stage.done(&["up"]);
        let addresses = bot.resolve("new.twitter.com");
        assert!(bot.reaches("new.twitter.com", 443), "{addresses:?}");
        eventually("it knows the names that were resolved without it", || {
            let site = (IpAddr::from([198, 51, 100, 11]), 443);
            let connect = move || TcpStream::connect_timeout(&site.into(), NEVER).is_ok();
            assert!(bot.netns.run(connect).unwrap());
            named("www.twitter.com")
        });

        // Nor does a new proxy, which knows the names from disk: nobody asks here.
        kill_hard(proxy(stage));
        let known = |address: IpAddr| {
            let connect = move || TcpStream::connect_timeout(&(address, 443).into(), NEVER).is_ok();
            bot.netns.run(connect).unwrap()
        };
        assert!(addresses.iter().all(|address| known(*address)));
        eventually("the proxy is back", || !bot.resolve("api.twitter.com").is_empty());
        assert!(bot.reaches("api.twitter.com", 443));
        let names = stage.json(&["fqdn", "cache", "list"]);
        assert!(names.as_array().unwrap().iter().any(|row| row["name"] == "new.twitter.com"), "{names}");

        // What is forgotten is closed until it is asked for again.
        assert!(stage.done(&["fqdn", "cache", "clean"]).contains("forgotten"));
        assert!(!addresses.iter().any(|address| known(*address)));
        assert!(bot.reaches("new.twitter.com", 443));

        // A rule about addresses beside the one about names: both hold.
        let cidr = BY_PORT.replacen("  egress:\n", "  egress:\n  - toCIDR: [198.51.100.8/29]\n", 1);
        let path = stage.file("cidr.yaml", &cidr);
        stage.done(&["apply", "-f", &path]);
        assert!(bot.reaches("new.twitter.com", 80), "by its prefix");
        assert!(bot.reaches("api.twitter.com", 443), "by its name");

        stage.done(&["delete", "-f", &path]);
        assert!(bot.reaches("www.example.com", 80));
        stage.done(&["down"]);
    });
}
