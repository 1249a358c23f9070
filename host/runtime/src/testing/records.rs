//! What is logged, as text.
//!
//! By one subscriber for all tests of a process: whether anybody wants a record of some place is remembered for all
//! threads, and with subscribers that come and go on threads of their own it may be remembered wrongly.

use std::fmt::{Debug, Write as _};
use std::sync::{LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

static RECORDS: LazyLock<&'static Mutex<Vec<String>>> = LazyLock::new(|| {
    let records: &Mutex<Vec<String>> = Box::leak(Box::default());
    tracing_subscriber::registry().with(Keep(records)).init();
    records
});

/// Keep what is logged from now on.
pub fn start() {
    LazyLock::force(&RECORDS);
}

/// The records about an Issuer of this name, as `field=value` each, level INFO and above.
pub fn of(issuer: &str) -> Vec<String> {
    let issuer = format!(" issuer={issuer:?} ");
    RECORDS.lock().unwrap().iter().filter(|record| record.contains(&issuer)).cloned().collect()
}

struct Keep(&'static Mutex<Vec<String>>);

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let _ = write!(self.0, "{}={value:?} ", field.name());
            }
        }
        if *event.metadata().level() <= Level::INFO {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}
