//! Lists of referrers that come in several pages.

use serde_json::{Value, json};

use super::shelf::Shelf;
use super::{Signer, put_bundle, signer, subject, unsigned};
use crate::manifest::INDEX_TYPE;
use crate::pages::MAX_PAGES;

fn index(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests})
}

/// The paths of the first and of a further page of the list.
fn path(page: usize) -> String {
    let first = format!("referrers/{}", subject());
    if page == 0 { first } else { format!("{first}?last={page}") }
}

/// Put lists as pages, the last of which says that `after` follows.
fn put_pages(shelf: &Shelf, pages: &[&[Value]], after: Option<&str>) {
    for (n, manifests) in pages.iter().enumerate() {
        let next = format!("/v2/team/ca/{}", path(n + 1));
        let next = if n + 1 < pages.len() { Some(next.as_str()) } else { after };
        shelf.put_page(&path(n), &index(manifests), next);
    }
}

/// How many pages were asked for.
fn read(asked: &[String]) -> usize {
    asked.iter().filter(|asked| asked.starts_with("GET referrers/")).count()
}

#[tokio::test]
async fn a_signature_on_a_further_page_is_found() {
    let (key, other) = (Signer::new(), Signer::new());
    let shelf = Shelf::default();
    let (theirs, ours) =
        (put_bundle(&shelf, &other.bundle(&subject())), put_bundle(&shelf, &key.bundle(&subject())));
    put_pages(&shelf, &[std::slice::from_ref(&theirs), &[], &[ours]], None);
    assert_eq!(signer(&shelf, &[&key]).await.as_ref(), Ok(&key.public));
    put_pages(&shelf, &[&[theirs], &[], &[]], None);
    assert!(unsigned(&shelf, &[&key]).await.contains("it has 1 by another key"));
}

#[tokio::test]
async fn a_list_without_an_end_is_read_so_far_and_no_further() {
    let (key, other) = (Signer::new(), Signer::new());
    let shelf = Shelf::default();
    // A page that leads to itself.
    let itself = format!("/v2/team/ca/{}", path(1));
    put_pages(&shelf, &[&[], &[]], Some(&itself));
    let keys = [key.public.clone()];
    let found = shelf.registry().signer(&subject(), &keys).await.unwrap_err().to_string();
    assert!(found.contains("does not send (the registry's list has more than 8 pages)"), "{found}");
    assert_eq!(read(&shelf.asked()), MAX_PAGES);
    // A list that ends there is whole.
    let empty: &[Value] = &[];
    put_pages(&shelf, &[empty; MAX_PAGES], None);
    shelf.put_page(&path(MAX_PAGES - 1), &index(&[put_bundle(&shelf, &other.bundle(&subject()))]), None);
    assert!(signer(&shelf, &[&other]).await.is_ok());
}

#[tokio::test]
async fn a_page_that_cannot_be_had_hides_none_before_it() {
    let (key, other) = (Signer::new(), Signer::new());
    let shelf = Shelf::default();
    let ours = put_bundle(&shelf, &key.bundle(&subject()));
    let next = format!("/v2/team/ca/{}", path(1));
    put_pages(&shelf, &[&[ours]], Some(&next));
    for (status, may_pass) in [(503, true), (307, true), (404, false)] {
        shelf.breaks(&path(1), status);
        assert!(signer(&shelf, &[&key]).await.is_ok(), "{status}");
        // Of another one nobody knows whether it is there.
        let error = signer(&shelf, &[&other]).await.unwrap_err();
        assert_eq!(matches!(error, super::Unverified::Registry(_)), may_pass, "{status}: {error}");
    }
    let shelf = Shelf::default();
    let ours = put_bundle(&shelf, &key.bundle(&subject()));
    put_pages(&shelf, &[&[ours]], Some("https://inside.example/v2/team/ca/referrers/x"));
    assert!(signer(&shelf, &[&key]).await.is_ok());
    let keys = [other.public.clone()];
    let error = shelf.registry().signer(&subject(), &keys).await.unwrap_err().to_string();
    assert!(error.contains("to another server for the next page of a list"), "{error}");
    assert!(!shelf.asked().iter().any(|asked| asked.contains("referrers/x")), "it is not asked");
}
