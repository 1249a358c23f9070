use super::super::signer::{Failure, FailureKind};
use super::super::testing::{at, moment, told};
use super::*;

fn state(conditions: Vec<Condition>) -> IssuerState {
    IssuerState { generation: 3, conditions, plugin: None, is_old: false }
}

fn plugin(sha256: &str, second: i64) -> PluginFacts {
    PluginFacts { sha256: sha256.into(), source: "ConfigMap a/b plugin.wasm".into(), loaded_at: at(second) }
}

fn attempt(result: Result<(), CheckFailure>) -> Attempt {
    Attempt {
        result,
        credence: Credence::Alone,
        plugin: Some(plugin("4f0c", 1)),
        refused_plugin: None,
        breaks: None,
    }
}

fn failing() -> Attempt {
    attempt(Err(CheckFailure::passing("401 %d")))
}

/// The plan after an attempt of something that serves already.
fn checked(
    state: &IssuerState,
    attempt: &Attempt,
    history: History,
    interval: Duration,
    moment: Moment,
) -> IssuerPlan {
    super::checked(state, attempt, true, history, interval, moment).plan
}

fn after(plan: &IssuerPlan) -> IssuerState {
    let status = plan.status.clone().expect("a status");
    IssuerState { generation: 3, conditions: status.conditions, plugin: status.plugin, is_old: false }
}

fn ready(plan: &IssuerPlan) -> String {
    let status = plan.status.as_ref().expect("a status");
    let ready = condition::find(&status.conditions, READY).unwrap();
    assert_eq!(ready.observed_generation, Some(3));
    assert_eq!(status.observed_generation, 3);
    format!("{} {}: {}", ready.status, ready.reason, ready.message)
}

/// The short form of what it says.
fn shown(plan: &IssuerPlan) -> String {
    summary(condition::find(&plan.status.as_ref().expect("a status").conditions, READY).unwrap())
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn initializing_is_written_only_where_nothing_is() {
    let status = initializing(&state(vec![]), at(1)).unwrap();
    let ready = condition::find(&status.conditions, READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str(), ready.message.as_str()),
        (UNKNOWN, "Initializing", "wasm-issuer.dev has started reconciling this Issuer")
    );
    assert_eq!(initializing(&state(status.conditions), at(2)), None);
}

#[test]
fn a_passed_check_is_ready_and_told_once() {
    let plan = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    assert_eq!(ready(&plan), "True Checked: Succeeded checking the issuer");
    assert_eq!(told(&plan), ["Normal Checked Synced: Succeeded checking the issuer"]);
    assert_eq!(plan.next, Next::After(MINUTE));

    // The periodic check, and the first one after a restart, which loads the plugin again.
    let reloaded = Attempt { plugin: Some(plugin("4f0c", 99)), ..attempt(Ok(())) };
    let again = checked(&after(&plan), &reloaded, plan.remember, MINUTE, moment(100));
    assert_eq!((again.status, again.events), (None, vec![]));
}

#[test]
fn a_failed_check_is_retried_with_growing_delays() {
    let plan = checked(&state(vec![]), &failing(), History::default(), MINUTE, moment(1));
    assert_eq!(ready(&plan), "False Pending: Not ready yet: 401 %d");
    assert_eq!(told(&plan), ["Warning RetryableError SyncFailed: Not ready yet: 401 %d"]);
    assert_eq!(plan.next, Next::After(Duration::from_secs(1)));
    let again = checked(&after(&plan), &failing(), plan.remember, MINUTE, moment(2));
    assert_eq!((again.status, again.events), (None, vec![]), "nothing new to write or to tell");
    assert_eq!(again.next, Next::After(Duration::from_secs(2)));
    let many = History { failures: 20, ..History::default() };
    let slow = checked(&state(vec![]), &failing(), many, MINUTE, moment(3));
    assert_eq!(slow.next, Next::After(MINUTE), "back within a checkInterval");
    let rare = checked(&state(vec![]), &failing(), many, 60 * MINUTE, moment(3));
    assert_eq!(rare.next, Next::After(5 * MINUTE));
    assert_eq!(slow.remember.failures, 21);
    let good = checked(&state(vec![]), &attempt(Ok(())), slow.remember, MINUTE, moment(4));
    assert_eq!(good.remember, History::default());
}

#[test]
fn a_ca_rests_no_longer_than_an_hour() {
    let kind = CheckFailureKind::Passing { after: Some(Duration::from_secs(u32::MAX.into())) };
    let wish = attempt(Err(CheckFailure { message: "429".into(), kind }));
    let plan = checked(&state(vec![]), &wish, History::default(), MINUTE, moment(1));
    let Next::After(delay) = plan.next else { panic!() };
    assert!(delay >= 60 * MINUTE && delay < 61 * MINUTE, "{delay:?}");
}

fn ready_for(generation: i64) -> IssuerState {
    state(vec![Condition::new(READY, TRUE, "Checked", "", at(0)).observing(generation)])
}

#[test]
fn three_failures_in_a_row_make_an_outage() {
    let mut history = History::default();
    for n in 1..FAILURES_OF_AN_OUTAGE {
        let doubted = super::checked(&ready_for(3), &failing(), true, history, MINUTE, moment(1));
        assert_eq!((doubted.plan.status, doubted.plan.events), (None, vec![]));
        assert!(doubted.serves);
        assert_eq!(doubted.plan.next, Next::After(Duration::from_secs(n.into())), "soon");
        history = doubted.plan.remember;
    }
    let last = super::checked(&ready_for(3), &failing(), true, history, MINUTE, moment(9));
    assert_eq!(ready(&last.plan), "False Pending: Not ready yet: 401 %d");
    assert!(!last.serves);
}

#[test]
fn a_lack_of_room_stops_nothing_that_serves_and_is_told_to_what_does_not() {
    let no_room = attempt(Err(CheckFailure::no_room("401 %d")));
    let checked = |state: &IssuerState, serves, failures| {
        let history = History { failures, ..History::default() };
        super::checked(state, &no_room, serves, history, MINUTE, moment(1))
    };
    for (state, serves, failures) in
        [(ready_for(3), true, 20), (ready_for(2), true, 20), (ready_for(3), false, 0)]
    {
        let idle = checked(&state, serves, failures);
        assert_eq!((idle.plan.status, idle.plan.events, idle.serves), (None, vec![], serves));
    }
    for (state, failures) in [(state(vec![]), 0), (ready_for(2), 0), (ready_for(3), 2)] {
        let told = checked(&state, false, failures);
        assert_eq!(ready(&told.plan), "False Pending: Not ready yet: 401 %d");
        assert!(matches!(told.plan.next, Next::After(delay) if delay <= MINUTE));
    }
}

#[test]
fn a_failure_is_believed_at_once_where_something_speaks_for_it() {
    let likely = Attempt { credence: Credence::Likely, ..failing() };
    let permanent = attempt(Err(CheckFailure::permanent("401 %d")));
    for (state, attempt) in [
        (ready_for(3), &likely),
        (ready_for(3), &permanent),
        (ready_for(2), &failing()), // of a spec that was never checked
    ] {
        let believed = super::checked(&state, attempt, true, History::default(), MINUTE, moment(1));
        assert!(ready(&believed.plan).starts_with("False"));
        assert!(!believed.serves);
    }
}

#[test]
fn what_the_api_server_does_not_say_is_nobodys_fault() {
    let unread = attempt(Err(CheckFailure::unknown("no answer within 15 s")));
    let many = History { failures: 20, ..History::default() };
    for serves in [true, false] {
        let checked = super::checked(&ready_for(3), &unread, serves, many, MINUTE, moment(1));
        assert_eq!((checked.plan.status, checked.plan.events), (None, vec![]));
        assert_eq!((checked.serves, checked.plan.next), (serves, Next::After(MINUTE)));
    }
}

#[test]
fn a_permanent_failure_waits_for_a_change() {
    let permanent = attempt(Err(CheckFailure::permanent("401 %d")));
    let plan = checked(&state(vec![]), &permanent, History::default(), MINUTE, moment(1));
    assert_eq!(ready(&plan), "False Failed: Failed permanently: 401 %d");
    assert_eq!(told(&plan), ["Warning PermanentError SyncFailed: Failed permanently: 401 %d"]);
    assert_eq!(plan.next, Next::Settled);
}

#[test]
fn the_plugin_in_use_is_told_with_the_time_it_was_first_loaded() {
    let plan = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    assert_eq!(plan.status.as_ref().unwrap().plugin, Some(plugin("4f0c", 1)));
    let new = Attempt { plugin: Some(plugin("beef", 50)), ..attempt(Ok(())) };
    let swapped = checked(&after(&plan), &new, History::default(), MINUTE, moment(50));
    assert_eq!(swapped.status.unwrap().plugin, Some(plugin("beef", 50)));
}

#[test]
fn without_a_plugin_in_use_the_status_names_none() {
    let before = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    let none = Attempt { plugin: None, credence: Credence::Likely, ..failing() };
    let plan = checked(&after(&before), &none, History::default(), MINUTE, moment(2));
    let status = plan.status.unwrap();
    assert_eq!(status.plugin, None);
    assert!(condition::find(&status.conditions, PLUGIN_CURRENT).is_none());
}

#[test]
fn a_refused_plugin_leaves_the_old_one_serving_and_says_so() {
    let before = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    let refused = Attempt { refused_plugin: Some("not a component".into()), ..attempt(Ok(())) };
    let plan = checked(&after(&before), &refused, before.remember, MINUTE, moment(2));
    let message = "The new plugin was not taken into use, 4f0c goes on serving: not a component";
    assert_eq!(ready(&plan), format!("True PluginRefused: Succeeded checking the issuer. {message}"));
    assert_eq!(shown(&plan), message);
    assert_eq!(told(&plan), [format!("Warning PluginRefused SyncFailed: {message}")]);
    let status = plan.status.clone().unwrap();
    let current = condition::find(&status.conditions, PLUGIN_CURRENT).unwrap();
    assert_eq!((current.status.as_str(), current.message.as_str()), (FALSE, message));

    let same = checked(&after(&plan), &refused, plan.remember, MINUTE, moment(3));
    assert_eq!((same.status, same.events), (None, vec![]));
    let gone = Attempt { refused_plugin: Some("not found".into()), ..attempt(Ok(())) };
    let other = checked(&after(&plan), &gone, plan.remember, MINUTE, moment(3));
    let message = message.replace("not a component", "not found");
    assert_eq!(told(&other), [format!("Warning PluginRefused SyncFailed: {message}")], "each new reason");

    let mended = checked(&after(&plan), &attempt(Ok(())), plan.remember, MINUTE, moment(3));
    assert_eq!(ready(&mended), "True Checked: Succeeded checking the issuer");
    assert_eq!(told(&mended), ["Normal PluginLoaded Synced: The plugin of the spec is in use"]);
}

#[test]
fn an_issuer_whose_plugin_breaks_at_every_call_says_so_and_serves() {
    let good = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    let breaking = Attempt { breaks: Some("the plugin trapped".into()), ..attempt(Ok(())) };
    let broken = super::checked(&after(&good), &breaking, true, good.remember, MINUTE, moment(2));
    let message = "Its plugin breaks off at every call to sign, the last time so: the plugin trapped";
    let said = format!("Succeeded checking the issuer. {message}");
    assert!(broken.serves, "another request may pass");
    assert_eq!(ready(&broken.plan), format!("True PluginBreaks: {said}"));
    assert_eq!(shown(&broken.plan), message);
    assert_eq!(told(&broken.plan), [format!("Warning PluginBreaks SyncFailed: {said}")]);

    let both = Attempt { refused_plugin: Some("not found".into()), ..breaking };
    let both = checked(&after(&broken.plan), &both, good.remember, MINUTE, moment(3));
    assert!(ready(&both).starts_with("True PluginRefused: ") && ready(&both).ends_with(message));
    let mended = checked(&after(&broken.plan), &attempt(Ok(())), good.remember, MINUTE, moment(4));
    assert_eq!(told(&mended), ["Normal Checked Synced: Succeeded checking the issuer"]);
}

#[test]
fn the_short_form_leaves_out_what_the_other_columns_say_and_fits_a_line() {
    let of = |message: &str| summary(&Condition::new(READY, FALSE, "Pending", message, at(0)));
    assert_eq!(of("Not ready yet: 401 %d"), "401 %d");
    assert_eq!(of("Failed permanently: 401 %d"), "401 %d");
    assert_eq!(of("Succeeded checking the issuer"), "Succeeded checking the issuer");
    let long = of(&"ä".repeat(4000));
    assert!(long.len() <= 120 && long.ends_with("..."), "{long}");
}

#[test]
fn a_status_of_another_version_is_written_anew_and_not_told() {
    let plan = checked(&state(vec![]), &attempt(Ok(())), History::default(), MINUTE, moment(1));
    let old = IssuerState { is_old: true, ..after(&plan) };
    let again = checked(&old, &attempt(Ok(())), plan.remember, MINUTE, moment(2));
    assert_eq!((again.status, again.events), (plan.status, vec![]));
}

#[test]
fn several_failures_are_told_together_and_are_over_when_one_is() {
    let (permanent, passing) = (CheckFailure::permanent("a"), CheckFailure::passing("b"));
    assert_eq!(permanent.clone().and(passing.clone()), CheckFailure::passing("a; b"));
    assert_eq!(permanent.clone().and(permanent), CheckFailure::permanent("a; a"));
    assert_eq!(passing.and(CheckFailure::unknown("c")), CheckFailure::unknown("b; c"));
}

#[test]
fn an_issuer_that_passes_its_check_and_fails_to_sign_does_not_flap() {
    let mut history = History::default();
    let mut now = 0;
    let mut writes = 0;
    let mut current = state(vec![]);
    // As bad as it gets: every check passes and every signing fails, for an hour.
    while now < 3600 {
        let good = checked(&current, &attempt(Ok(())), history, MINUTE, moment(now));
        current = after(&good);
        let bad = relapsed(&current, "401 %d", good.remember, moment(now));
        history = bad.remember;
        assert_eq!(ready(&bad), "False Pending: Not ready yet: 401 %d");
        assert_eq!(told(&bad), ["Warning RetryableError SyncFailed: Not ready yet: 401 %d"]);
        current = after(&bad);
        writes += 2;
        let Next::After(delay) = bad.next else { panic!() };
        now += i64::try_from(delay.as_secs()).unwrap();
    }
    assert!(writes <= 30, "{writes} writes in an hour");
}

#[test]
fn a_failed_check_is_in_the_words_of_its_failure() {
    let check = |kind| CheckFailure::from(Failure { kind, message: "401 %d".into(), condition: None });
    let after = Some(MINUTE);
    assert_eq!(check(FailureKind::Permanent), CheckFailure::permanent("401 %d"));
    assert_eq!(check(FailureKind::Issuer), CheckFailure::passing("401 %d"));
    let kind = CheckFailureKind::Passing { after };
    let waiting = CheckFailure { kind, ..CheckFailure::passing("401 %d") };
    assert_eq!(check(FailureKind::Retry { after }), waiting);
    assert_eq!(check(FailureKind::Pending { resume: None, poll_after: after }), waiting);
}

#[test]
fn relapses_are_forgotten_after_a_certificate_that_was_asked_for_since() {
    let relapsed = History { relapses: 3, ..History::default() };
    assert_eq!(relapsed.signed(Some(MINUTE)), relapsed, "its call was under way at the relapse");
    assert_eq!(relapsed.signed(Some(MINUTE * 2)), History::default());
    assert_eq!(relapsed.signed(None), History::default());
}

#[test]
fn a_check_whose_outcome_cannot_be_written_counts_all_the_same() {
    let planned = History { failures: 2, relapses: 1, write_failures: 0 };
    let (first, delay) = History::write_failed(planned, 0.5);
    assert_eq!(first, History { write_failures: 1, ..planned });
    assert_eq!(delay, Duration::from_millis(100));
    let (second, delay) = History::write_failed(first, 0.5);
    assert_eq!((second.write_failures, delay), (2, Duration::from_millis(200)));
    assert_eq!(History::written(second), planned);
}
