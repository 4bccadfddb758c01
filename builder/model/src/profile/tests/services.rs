//! `[services.units]` and `[kernel]`: what is refused.

use super::*;

#[test]
fn errors_show_the_line() {
    let all = [
        with("\"/usr/bin/sync-it\"", "\"sync-it\""),
        with("exec = [\"/usr/bin/sync-it\", \"--all\", \"a b\"]", "exec = []"),
        with("timer = \"15min\"", "timer = \"every day\""),
        with("timer = \"15min\"", "timer = \"Fri..Mon 03:30\""),
        with("restart = \"on-failure\"", "restart = \"always\""),
        with("LOG_LEVEL = \"debug\"", "log = \"debug\""),
        with("LOG_LEVEL = \"debug\"", "DB_PASSWORD = \"hunter2hunter2\""),
        with("user = \"dynamic\"", "user = \"Dynamic\""),
        with("[services.units.sync]", "[services.units.web]"),
        with("mask = [\"b.socket\"]", "mask = [\"sync.timer\"]"),
        with("mask = [\"b.socket\"]", "mask = [\"dbus.socket\"]"),
        with("flavour = \"generic\"", "flavour = \"cloudy\""),
        with("\"nf_conntrack\"", "\"nf conntrack\""),
    ];
    assert!(all.iter().all(|e| !e.contains("hunter2")));
    insta::assert_snapshot!("services", all.join("\n\n"));
}
