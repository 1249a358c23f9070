use std::cell::RefCell;

use serde_json::{Value, json};

use super::*;

const SERVER: &str = "https://ca.example.com";

/// A CA that gives one answer, whatever it is asked.
struct Script {
    answer: Response,
    asked: RefCell<Vec<String>>,
}

fn script(status: u16, headers: &[(&str, &str)], body: Value) -> Script {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let answer = Response {
        server: SERVER.into(),
        status,
        headers: headers.collect(),
        body: body.to_string().into(),
    };
    Script {
        answer,
        asked: RefCell::default(),
    }
}

impl Ca for Script {
    fn get(&self, path: &str) -> Result<Response, Failure> {
        self.asked.borrow_mut().push(format!("GET {path}"));
        Ok(self.answer.clone())
    }

    fn post(&self, path: &str, order: &Order<'_>) -> Result<Response, Failure> {
        let order = serde_json::to_string(order).unwrap();
        self.asked.borrow_mut().push(format!("POST {path} {order}"));
        Ok(self.answer.clone())
    }
}

fn order() -> Order<'static> {
    Order {
        csr: "CSR".into(),
        profile: "server",
        duration_seconds: 3600,
        request_id: "7f7d",
    }
}

/// What becomes of an answer with this status and `Retry-After: 5`, to an order and to a poll.
fn failures(status: u16) -> [Failure; 2] {
    let ca = script(status, &[("Retry-After", "5")], json!("why"));
    [None, Some("7")].map(|resume| sign(&ca, &order(), resume).unwrap_err())
}

fn message(status: u16) -> String {
    format!("{SERVER}: the server answers {status}: \"why\"")
}

#[test]
fn a_certificate_that_is_there_at_once_is_returned() {
    let ca = script(
        201,
        &[],
        json!({"chain": "LEAF\nINTERMEDIATE", "ca": "ROOT"}),
    );
    let certificate = sign(&ca, &order(), None).unwrap();
    assert_eq!(certificate.chain, "LEAF\nINTERMEDIATE");
    assert_eq!(certificate.ca.as_deref(), Some("ROOT"));
    let body = r#"{"csr":"CSR","profile":"server","durationSeconds":3600,"requestId":"7f7d"}"#;
    assert_eq!(*ca.asked.borrow(), [format!("POST /certificates {body}")]);
}

#[test]
fn an_order_that_is_not_done_is_asked_for_later() {
    let ca = script(202, &[("Retry-After", "17")], json!({"order": "7"}));
    let failure = sign(&ca, &order(), None).unwrap_err();
    let pending = Failure::pending("https://ca.example.com: order 7 is not done");
    assert_eq!(failure, pending.resume("7").poll_after(17));

    let ca = script(200, &[], json!({"chain": "LEAF"}));
    let certificate = sign(&ca, &order(), Some("7")).unwrap();
    assert_eq!((certificate.chain.as_str(), certificate.ca), ("LEAF", None));
    assert_eq!(*ca.asked.borrow(), ["GET /orders/7"]);
}

#[test]
fn a_number_that_is_no_part_of_a_path_is_refused() {
    for order_id in ["", "../profiles/x", "a b", "a?b", &"7".repeat(65)] {
        let ca = script(202, &[], json!({"order": order_id}));
        let failure = sign(&ca, &order(), None).unwrap_err();
        assert!(
            failure.message.contains("is no number of an order"),
            "{}",
            failure.message
        );
    }
}

#[test]
fn a_busy_ca_is_tried_again_when_it_says() {
    for status in [429, 503] {
        let retry = Failure::retry(message(status)).after(5);
        assert_eq!(failures(status), [retry.clone(), retry]);
    }
}

#[test]
fn what_is_the_issuers_fault_waits_for_the_issuer() {
    for status in [401, 403] {
        let issuer = Failure::issuer(message(status));
        assert_eq!(failures(status), [issuer.clone(), issuer]);
    }
}

#[test]
fn what_is_the_requests_fault_is_not_tried_again() {
    for status in [400, 422] {
        let invalid = Failure::invalid_request(message(status));
        assert_eq!(failures(status), [invalid.clone(), invalid]);
    }
}

#[test]
fn what_this_ca_means_otherwise_is_told() {
    let [of_an_order, of_a_poll] = failures(409);
    assert_eq!(of_an_order, Failure::retry(message(409)).after(5));
    assert_eq!(of_a_poll, Failure::permanent(message(409)));
    let [of_an_order, of_a_poll] = failures(404);
    assert_eq!(of_an_order, Failure::issuer(message(404)));
    assert_eq!(of_a_poll, Failure::permanent(message(404)));
}

#[test]
fn an_answer_of_another_shape_is_tried_again() {
    let failure = sign(&script(201, &[], json!({"cert": "LEAF"})), &order(), None).unwrap_err();
    assert!(
        failure.message.contains("missing field `chain`"),
        "{}",
        failure.message
    );
    assert_eq!(failure, Failure::retry(&failure.message));
}

#[test]
fn a_check_asks_for_the_profile_and_issues_nothing() {
    let ca = script(200, &[], json!({}));
    assert_eq!(check(&ca, "server"), Ok(()));
    assert_eq!(*ca.asked.borrow(), ["GET /profiles/server"]);
    let ca = script(401, &[], json!("why"));
    assert_eq!(check(&ca, "server"), Err(Failure::issuer(message(401))));
}
