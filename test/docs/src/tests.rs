use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, PathBuf};

use wasm_issuer_core::issuance::reason::{ConditionReason, EventReason};

use super::*;

/// Files whose links are checked too.
const MORE: [&str; 12] = [
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "sdk/README.md",
    "plugins/aws-pca/README.md",
    "plugins/cfssl/README.md",
    "plugins/in-memory-ca/README.md",
    "plugins/step-ca/README.md",
    "test/cluster/README.md",
    "test/cfssl/README.md",
    "test/http-ca/README.md",
    "test/docs/README.md",
    "deploy/chart/README.md",
];

/// `a/b/../c` is `a/c`.
fn normal(path: &std::path::Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut done, part| {
        match part {
            Component::ParentDir => {
                done.pop();
            }
            Component::CurDir => {}
            part => done.push(part),
        }
        done
    })
}

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let pages = pages().unwrap();
    let faults: Vec<String> = pages.iter().flat_map(|page| &page.blocks).filter_map(Block::fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_block_that_says_nothing_is_refused() {
    let fault = |text: &str| {
        let page = Page::parse("a.md".into(), text);
        page.blocks.iter().find_map(Block::fault).unwrap_or_default()
    };
    for (text, why) in [
        ("```sh\nls\n```", "a.md:2: holds commands and does not say"),
        ("    ls\n", "a.md:1: has no language"),
        ("```\nls\n```", "a.md:2: has no language"),
        ("\n```bash test=a\nls\n```", "a.md:3: call it sh"),
        ("```sh not-run=\"because\"\nls\n```", "is neither"),
        ("```sh test=\nls\n```", "is neither"),
        ("```sh run\nls\n```", "is neither"),
        ("```sh test=a after=\nls\n```", "is neither"),
        ("```yaml test=a\na: b\n```", "only sh is"),
        ("- a list\n\n  ```sh\n  ls\n  ```\n", "a.md:4: holds commands"),
    ] {
        assert!(fault(text).contains(why), "{text}: {}", fault(text));
    }
    for text in [
        "```sh test=a-1 after=b\nls\n```",
        "```sh not-run=\"it asks for a password\"\nls\n```",
        "```yaml\na: b\n```",
    ] {
        assert_eq!(fault(text), "", "{text}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let more = MORE.iter().map(PathBuf::from).filter(|path| root().join(path).exists());
    let more = more.map(|path| Page::read(&root(), path).unwrap());
    let all: BTreeMap<PathBuf, Page> =
        pages().unwrap().into_iter().chain(more).map(|page| (page.path.clone(), page)).collect();
    let mut dead = vec![];
    for page in all.values() {
        for Link { line, target } in &page.links {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) =
                target.split_once('#').map_or((target.as_str(), None), |(f, a)| (f, Some(a)));
            let path = match file {
                "" => page.path.clone(),
                file => normal(&page.path.parent().unwrap().join(file)),
            };
            let has = |anchor: &str| match all.get(&path) {
                Some(page) => page.anchors.contains(anchor),
                None => Page::read(&root(), path.clone()).is_ok_and(|page| page.anchors.contains(anchor)),
            };
            if !root().join(&path).exists() || !anchor.is_none_or(has) {
                dead.push(format!("{}:{line}: {target}", page.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "these links lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# What's `new`?\n\n## A & b\n\n## `A` & b\n\n## Rotate a CA, or two\n";
    let anchors = Page::parse("a.md".into(), text).anchors;
    assert_eq!(anchors, ["whats-new", "a--b", "a--b-1", "rotate-a-ca-or-two"].map(str::to_owned).into());
}

#[test]
fn every_page_is_in_the_index() {
    let pages = pages().unwrap();
    let index = pages.iter().find(|page| page.path.ends_with("docs/README.md")).unwrap();
    let linked: BTreeSet<&str> = index.links.iter().map(|link| link.target.as_str()).collect();
    for page in pages.iter().filter(|page| page.path.starts_with("docs") && page.path != index.path) {
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(linked.contains(name), "docs/README.md does not name {name}");
    }
}

/// What the rows of operations.md begin with, under these headings.
fn explained(headings: &[&str]) -> BTreeSet<String> {
    let pages = pages().unwrap();
    let page = pages.iter().find(|page| page.path.ends_with("docs/operations.md")).unwrap();
    let rows = page.rows.iter().filter(|(heading, _)| headings.contains(&heading.as_str()));
    rows.map(|(_, reason)| reason.clone()).collect()
}

#[test]
fn every_reason_is_explained_and_no_other() {
    let conditions = ConditionReason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(explained(&["Conditions of an Issuer", "Conditions of a request"]), conditions);
    let events = EventReason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(explained(&["Events"]), events);
}

#[test]
fn the_versions_that_are_tested_are_those_of_the_page() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/versions.md");
    for (file, module) in [
        ("test/cluster/kubernetes/go.mod", "k8s.io/kubernetes "),
        ("test/cluster/etcd/go.mod", "go.etcd.io/etcd/server/v3 "),
        ("test/cluster/certmanager/go.mod", "github.com/cert-manager/cert-manager "),
    ] {
        let text = read(file);
        let version =
            text.lines().find_map(|line| line.split(module).nth(1)).unwrap().trim_start_matches('v');
        assert!(page.contains(version), "docs/versions.md does not name {module}{version}");
    }
}
