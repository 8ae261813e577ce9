//! Tests that take long: faults at every write, sync, rename and removal of the verbs that change something, each in a
//! process of its own.
//!
//! `CLADE_SLOW` chooses the tier: unset, some of the points (a minute or two); `full`, every point; `soak`, every point, on
//! several inputs.

mod faults;
mod world;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Bounded,
    Full,
    Soak,
}

impl Tier {
    fn of_this_run() -> Self {
        match std::env::var("CLADE_SLOW").as_deref() {
            Err(_) | Ok("") => Self::Bounded,
            Ok("full") => Self::Full,
            Ok("soak") => Self::Soak,
            Ok(other) => panic!("CLADE_SLOW is {other:?}; it may be full or soak"),
        }
    }

    /// The point to try after `n`. The bounded tier tries the first ones all, then ever fewer.
    fn next(self, n: u64) -> u64 {
        match self {
            Self::Bounded => (n + 1).max(n * 4 / 3),
            Self::Full | Self::Soak => n + 1,
        }
    }

    /// Seeds of the inputs.
    fn seeds(self) -> std::ops::Range<u64> {
        match self {
            Self::Bounded | Self::Full => 0..1,
            Self::Soak => 0..8,
        }
    }
}
