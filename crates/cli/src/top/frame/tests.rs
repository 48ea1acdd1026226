//! Pictures of every size.

use super::*;
use crate::observe::print::Hosts;
use ciliate_hubble::observer::GetFlowsResponse;
use std::time::Duration;

fn board() -> Board {
    let mut board = Board::default();
    let drop = |pod: &str, port: u32| {
        format!(
            r#"{{"flow":{{"time":"2026-01-01T10:00:00Z","verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","event_type":{{"type":1}},
            "traffic_direction":"EGRESS","IP":{{"source":"10.0.0.5","destination":"192.0.2.1"}},"source":{{"namespace":"demo","pod_name":"{pod}"}},
            "destination_names":["a-very-long-name.of-a-server.example.com"],"l4":{{"TCP":{{"source_port":1,"destination_port":{port}}}}}}}}}"#
        )
    };
    for (pod, port, count) in [("curl", 443, 3), ("web", 80, 6)] {
        let answer: GetFlowsResponse = serde_json::from_str(&drop(pod, port)).unwrap();
        (0..count).for_each(|_| board.count(&answer, Hosts::Named));
    }
    board.refresh(Duration::from_secs(3));
    board
}

fn frame(board: &Board, size: Option<(usize, usize)>) -> Frame<'_> {
    Frame {
        board,
        view: View::Drops,
        sort: Sort { column: 0, order: Order::LargestFirst },
        size,
        rows: usize::MAX,
        colour: false,
        server: "unix:///x",
        seconds: 3.0,
        footer: "q quit",
    }
}

#[test]
fn rows_are_in_order() {
    let board = board();
    let lines = Frame { footer: "", ..frame(&board, None) }.lines();
    assert_eq!(
        lines,
        [
            "drops   unix:///x   3.0 flows/s   9 flows",
            "DROPS/S↓  DROPS      LAST  REASON         SOURCE     DESTINATION                               PORT     DIRECTION",
            "     2.0      6  10:00:00  Policy denied  demo/web   a-very-long-name.of-a-server.example.com  80/TCP   egress",
            "     1.0      3  10:00:00  Policy denied  demo/curl  a-very-long-name.of-a-server.example.com  443/TCP  egress",
        ]
    );
    let sort = Sort { column: 1, order: Order::SmallestFirst };
    let turned = Frame { sort, rows: 1, ..frame(&board, None) }.lines();
    assert!(turned[1].contains("DROPS↑") && turned[2].contains("demo/curl"), "{turned:?}");
}

#[test]
fn no_picture_is_larger_than_its_terminal() {
    let board = board();
    for width in 1..140 {
        for height in 1..12 {
            let lines = frame(&board, Some((width, height))).lines();
            assert!(lines.len() <= height, "{width}x{height}: {lines:?}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}x{height}: {lines:?}");
        }
    }
    let narrow = frame(&board, Some((40, 6))).lines();
    // The column that rows are ordered by, and something of each name.
    assert_eq!(narrow[1], "DROPS/S↓  REAS…  SOUR…  DES…  PORT  DIR…", "{narrow:#?}");
    assert_eq!(narrow[5], "q quit");
    let sort = Sort { column: 2, order: Order::LargestFirst };
    let other = Frame { sort, ..frame(&board, Some((40, 6))) }.lines();
    assert!(other[1].starts_with("   LAST↓") || other[1].starts_with("LASTv"), "{other:#?}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let board = board();
    let escapes =
        |colour| Frame { colour, ..frame(&board, Some((80, 10))) }.lines().concat().contains('\u{1b}');
    assert!(escapes(true) && !escapes(false));
}

#[test]
fn programs_read_the_same_rows() {
    let board = board();
    let json = frame(&board, None).json();
    assert_eq!(
        json["rows"][1],
        json!({
            "reason": "Policy denied", "source": "demo/curl", "destination": "a-very-long-name.of-a-server.example.com",
            "port": "443/TCP", "direction": "egress", "rate": 1, "drops": 3, "last": 1_767_261_600_u64,
        })
    );
    assert_eq!((&json["view"], &json["flows"], &json["lost"]), (&json!("drops"), &json!(9), &json!(0)));
}
