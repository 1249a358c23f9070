use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::json;

use super::super::difference::Difference;
use super::super::outcome::Outcome;
use super::*;

fn case(name: &str, differences: Vec<Difference>) -> CaseReport {
    let result = if differences.is_empty() { CaseResult::Passed } else { CaseResult::Failed };
    CaseReport {
        name: name.into(),
        result,
        problem: None,
        differences,
        outcome: Outcome::passed(),
        written: Vec::new(),
        milliseconds: 1.5,
    }
}

fn failed() -> CaseReport {
    let differences = vec![
        Difference::new("request 1, body /a", "<b> & \"c\"", "d: #"),
        Difference::new("request 1, header x", "]]>", "it is not there"),
    ];
    CaseReport { problem: Some("nothing was recorded: no".into()), ..case("two # SKIP", differences) }
}

#[test]
fn people_read_lines() {
    assert_eq!(text(1, &case("one", vec![]), false), "ok 1 - one (1.5 ms)\n");
    let written = CaseReport { written: vec!["recorded", "updated"], ..case("one", vec![]) };
    assert_eq!(text(3, &written, false), "ok 3 - one (1.5 ms, recorded, updated)\n");
    assert_eq!(text(1, &case("one", vec![]), true), "\u{1b}[1m\u{1b}[32mok\u{1b}[0m 1 - one (1.5 ms)\n");
    let wanted = "not ok 2 - two # SKIP (1.5 ms)\n    nothing was recorded: no\n    request 1, body /a\n      \
                  expected  <b> & \"c\"\n      found     d: #\n    request 1, header x\n      expected  ]]>\n      \
                  found     it is not there\n";
    assert_eq!(text(2, &failed(), false), wanted);
}

#[test]
fn tap_names_each_case_and_tells_why_in_yaml() {
    assert_eq!(tap::head(2), "TAP version 14\n1..2\n");
    assert_eq!(tap::case(1, &case("one", vec![])).unwrap(), "ok 1 - one\n");
    let tap = tap::case(2, &failed()).unwrap();
    let (line, block) = tap.split_once("\n  ---\n").unwrap();
    assert_eq!(line, "not ok 2 - two \\# SKIP");
    let block = block.strip_suffix("  ...\n").unwrap();
    assert!(block.lines().all(|line| line.starts_with("  ")), "{tap}");
    let yaml: serde_json::Value = serde_saphyr::from_str(block).unwrap();
    assert_eq!(yaml["message"], "nothing was recorded: no");
    assert_eq!(
        yaml["differences"][0],
        json!({"place": "request 1, body /a", "expected": "<b> & \"c\"", "found": "d: #"})
    );
}

#[test]
fn junit_is_xml_with_a_failure_for_each_case_that_failed() {
    let xml = junit::document("a&b.wasm", &[case("one", vec![]), failed()]).unwrap();
    let mut reader = Reader::from_str(&xml);
    let mut read = Vec::new();
    let mut content = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                let attributes = tag.attributes().map(Result::unwrap);
                let attributes: Vec<_> = attributes.map(|it| format!("{}={}", it.key.0, it.value)).collect();
                read.push(format!("{} {}", tag.name().0, attributes.join(" ")));
            }
            Event::Text(text) => content.push_str(&text),
            Event::GeneralRef(entity) => content.push_str(&format!("&{};", &*entity)),
            _ => {}
        }
    }
    let totals = "name=a&amp;b.wasm tests=2 failures=1 time=0.003";
    let case = "classname=a&amp;b.wasm time=0.002";
    let wanted = [
        format!("testsuites {totals}"),
        format!("testsuite {totals}"),
        format!("testcase name=one {case}"),
        format!("testcase name=two # SKIP {case}"),
        "failure message=nothing was recorded: no".to_owned(),
    ];
    assert_eq!(read, wanted);
    assert!(
        content.contains("&lt;b&gt; &amp; ") && content.contains("found     it is not there"),
        "{content}"
    );
}
