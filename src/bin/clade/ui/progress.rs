//! Progress bars on a terminal.

use clade::progress::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// One bar at a time, drawn on standard error ten times a second.
pub(crate) struct Bars {
    bar: Mutex<Option<ProgressBar>>,
    items: AtomicU64,
    enabled: bool,
}

impl Bars {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { bar: Mutex::new(None), items: AtomicU64::new(0), enabled }
    }

    fn with(&self, f: impl FnOnce(&ProgressBar)) {
        if !self.enabled {
            return;
        }
        if let Some(bar) = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref() {
            f(bar);
        }
    }
}

impl Progress for Bars {
    fn begin(&self, phase: &str, total_bytes: Option<u64>, total_items: Option<u64>) {
        if !self.enabled {
            return;
        }
        self.items.store(0, Ordering::Relaxed);
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr_with_hz(10));
        let template = match (total_bytes, total_items) {
            (Some(_), _) => "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
            _ => "{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(phase.to_owned());
        *self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(bar);
    }

    fn bytes(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
    }

    fn items(&self, items: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
    }

    fn end(&self) {
        self.with(ProgressBar::finish_and_clear);
    }
}
