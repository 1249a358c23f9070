//! The XML of JUnit, as far as CI servers agree on it.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::case_report::CaseReport;

/// A document of one suite, the plugin's.
pub fn document(plugin: &str, cases: &[CaseReport]) -> anyhow::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let failed = cases.iter().filter(|case| !case.passed()).count();
    let (tests, failures) = (cases.len().to_string(), failed.to_string());
    let time = seconds(cases.iter().map(|case| case.milliseconds).sum());
    let totals = [
        ("name", plugin),
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("time", time.as_str()),
    ];
    writer.create_element("testsuites").with_attributes(totals).write_inner_content(|writer| {
        writer.create_element("testsuite").with_attributes(totals).write_inner_content(|writer| {
            cases.iter().try_for_each(|case| test_case(writer, plugin, case))
        })?;
        Ok(())
    })?;
    Ok(String::from_utf8(writer.into_inner())? + "\n")
}

fn test_case(writer: &mut Writer<Vec<u8>>, plugin: &str, case: &CaseReport) -> io::Result<()> {
    let time = seconds(case.milliseconds);
    let attributes = [("name", case.name.as_str()), ("classname", plugin), ("time", time.as_str())];
    let element = writer.create_element("testcase").with_attributes(attributes);
    if case.passed() {
        element.write_empty()?;
        return Ok(());
    }
    let lines = case.lines();
    let message = lines.first().map(String::as_str).unwrap_or_default();
    element.write_inner_content(|writer| {
        let failure = writer.create_element("failure").with_attribute(("message", message));
        failure.write_text_content(BytesText::new(&lines.join("\n")))?;
        Ok(())
    })?;
    Ok(())
}

fn seconds(milliseconds: f64) -> String {
    format!("{:.3}", milliseconds / 1000.0)
}
