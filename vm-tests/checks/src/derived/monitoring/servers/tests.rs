//! Each judge finds its fault. The answers are those of Prometheus 2.53 and Alertmanager 0.28, shortened.

use super::*;
use crate::scope::tests::recipe_of;

fn out(text: &str) -> Output {
    Output { status: 0, text: text.to_owned() }
}

fn answers(documents: &[&str]) -> Output {
    let one = |body: &&str| format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}\n\nend\n");
    out(&documents.iter().map(one).collect::<String>())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn an_answer_is_one_document_each() {
    assert_eq!(documents(&answers(&["{\"a\": 1}", "[]"])).map(|all| all.len()), Ok(2));
    assert!(documents(&out("")).is_err() && documents(&answers(&["not JSON"])).is_err());
    let lost = out("HTTP/1.0 503 Service Unavailable\r\n\r\nService Unavailable\n\nend\n");
    assert!(documents(&lost).unwrap_err().contains("503"));
}

#[test]
fn what_the_tools_refuse_is_seen() {
    assert!(judged_by_tool(&out("Checking x\n SUCCESS: x is valid")).is_ok());
    assert!(judged_by_tool(&Output { status: 1, text: "SUCCESS: 1 rule files found\n  FAILED: bad".into() }).is_err());
    assert!(judged_by_tool(&Output { status: 127, text: "promtool: command not found".into() }).is_err());
    assert!(judged_by_tool(&out("")).is_err(), "nothing was judged");
}

#[test]
fn a_port_that_is_open_to_others_is_seen() {
    let line = |address: &str, program: &str| {
        format!("LISTEN 0 4096 {address} 0.0.0.0:* users:((\"{program}\",pid=1,fd=3))\n")
    };
    let own = [
        line("*:9090", "prometheus"),
        line("127.0.0.1:9093", "prometheus-aler"),
        line("127.0.0.1:9115", "prometheus-blac"),
    ];
    let ports = [(9090, true), (9093, false), (9115, false)];
    let all = own.concat() + &line("*:9100", "prometheus-node") + &line("0.0.0.0:22", "sshd");
    assert_eq!(listens(&all, &ports), Ok("9090, 9093 on loopback, 9115 on loopback".into()));
    assert!(
        listens(&all.replace("127.0.0.1:9115", "*:9115"), &ports).unwrap_err().contains("9115 is listened to on *")
    );
    assert!(listens(&all.replace("*:9090", "127.0.0.1:9090"), &ports).is_err(), "nobody else can read it");
    assert!(listens(&own[..2].concat(), &ports).unwrap_err().contains("nobody listens on port 9115"));
    let cluster = all + &line("*:9094", "prometheus-aler");
    assert!(listens(&cluster, &ports).unwrap_err().contains("listens on *:9094"));
}

#[test]
fn a_target_that_is_not_known_or_does_not_answer_is_seen() {
    let target = |job: &str, instance: &str| {
        format!("{{\"labels\":{{\"job\":\"{job}\",\"instance\":\"{instance}\"}},\"lastError\":\"why\"}}")
    };
    let best = |value: &str| format!("{{\"metric\":{{\"job\":\"prometheus\"}},\"value\":[1764443871.2,\"{value}\"]}}");
    let answer = |targets: &[String], up: &str| {
        let list = format!("{{\"data\":{{\"activeTargets\":[{}]}}}}", targets.join(","));
        answers(&[&list, &format!("{{\"data\":{{\"result\":[{up}]}}}}")])
    };
    let (own, other) = (target("prometheus", "localhost"), target("inventory", "192.0.2.10:9100"));
    let expected =
        [("prometheus", "localhost"), ("inventory", "192.0.2.10:9100")].map(|(j, i)| (j.to_owned(), i.to_owned()));
    let (expected, mine) = (BTreeSet::from(expected), set(&["prometheus"]));
    let judge = |all: &[String], up: &str| targets(&answer(all, up), &expected, &mine);
    let both = [own.clone(), other.clone()];
    // Whether another machine is well is no property of this image.
    assert_eq!(judge(&both, &best("1")), Ok("2 targets".into()));
    assert!(judge(std::slice::from_ref(&own), &best("1")).unwrap_err().contains("not known: inventory"));
    assert!(judge(&both, &best("0")).unwrap_err().contains("prometheus has not answered: why"));
    assert!(judge(&both, "").unwrap_err().contains("prometheus has not answered"));
    assert!(judge(&[own, other, target("more", "x")], &best("1")).unwrap_err().contains("not declared: more"));
}

#[test]
fn an_alert_that_is_not_evaluated_is_seen() {
    let rule = |name: &str, health: &str| format!("{{\"name\":\"{name}\",\"health\":\"{health}\"}}");
    let answer =
        |rules: &[String]| answers(&[&format!("{{\"data\":{{\"groups\":[{{\"rules\":[{}]}}]}}}}", rules.join(","))]);
    let names = set(&["a", "b"]);
    let (a, b) = (rule("a", "ok"), rule("b", "ok"));
    assert_eq!(evaluated(&answer(&[a.clone(), b.clone()]), &names), Ok("2 alerts".into()));
    for bad in [vec![a.clone()], vec![a.clone(), b.clone(), rule("c", "ok")], vec![a, rule("b", "err")], vec![]] {
        assert!(evaluated(&answer(&bad), &names).is_err(), "{bad:?}");
    }
}

#[test]
fn an_alert_without_its_metric_is_seen() {
    let recipe = recipe_of(
        "[network.lan]\ndhcp = true\n[monitoring]\nprometheus = {}\nnode_exporter = { from = [] }\n\
         [monitoring.probes.gate]\nping = { host = \"192.0.2.1\" }\n",
    );
    let expected = looked_at(&Scope::of(&recipe));
    let series_of = |all: &[Looked]| {
        let one = |(metric, labels): &Looked| {
            let labels: String = labels.iter().map(|(l, v)| format!(",\"{l}\":\"{v}\"")).collect();
            format!("{{\"__name__\":\"{metric}\"{labels},\"instance\":\"localhost\"}}")
        };
        answers(&[&format!("{{\"data\":[{}]}}", all.iter().map(one).collect::<Vec<_>>().join(","))])
    };
    assert_eq!(series(&series_of(&expected), &expected), Ok("6 series".into()));
    for without in 0..expected.len() {
        let mut some = expected.clone();
        let (metric, _) = some.remove(without);
        assert!(series(&series_of(&some), &expected).unwrap_err().contains(&metric), "{metric}");
    }
}

#[test]
fn a_receiver_that_is_missing_is_seen() {
    const STATUS: &str = "{\"cluster\":{\"status\":\"disabled\",\"peers\":[]}}";
    const SENDS: &str = "{\"data\":{\"activeAlertmanagers\":[{\"url\":\"http://127.0.0.1:9093/api/v2/alerts\"}]}}";
    const LIST: &str = "[{\"name\":\"nobody\"},{\"name\":\"receiver/team\"}]";
    let names = set(&["receiver/team"]);
    assert_eq!(told(&answers(&[LIST, STATUS, SENDS]), &names), Ok("receiver/team".into()));
    for bad in [
        ["[{\"name\":\"nobody\"}]", STATUS, SENDS],
        ["[{\"name\":\"receiver/team\"},{\"name\":\"receiver/x\"}]", STATUS, SENDS],
        [LIST, "{\"cluster\":{\"status\":\"ready\"}}", SENDS],
        [LIST, STATUS, "{\"data\":{\"activeAlertmanagers\":[]}}"],
    ] {
        assert!(told(&answers(&bad), &names).is_err(), "{bad:?}");
    }
    assert!(told(&answers(&[LIST, STATUS]), &names).is_err(), "Prometheus did not answer");
}

#[test]
fn a_page_without_an_alert_is_seen() {
    let page = |status, body: &str| Ok(HttpReply { status, head: String::new(), body: body.as_bytes().to_vec() });
    let words = ["target-down".to_owned()];
    assert!(shown(&page(200, "<h1>Alerts</h1> target-down (0 active)"), &words).is_ok());
    assert!(shown(&page(200, "the user interface is not available"), &words).unwrap_err().contains("target-down"));
    assert!(shown(&page(503, "Service Unavailable"), &[]).is_err() && shown(&Err("reset".into()), &[]).is_err());
}

#[test]
fn scripts_are_well_formed() {
    assert!(!GET.contains('\''));
    let checked = std::process::Command::new("bash").args(["-n", "-c", GET]).output().expect("bash");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
