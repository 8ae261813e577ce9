//! The rules that hold until a `policy.set` says otherwise.

use serde::Serialize;

use super::Level;

/// What is known about a version and some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The records prove that the content, or something made from it, went into it.
    Affected,
    /// The content may have gone into it; the records do not tell.
    Possible,
    /// Nobody recorded where it came from.
    Unknown,
    /// Its origin is recorded whole, and the content is not in it.
    Unaffected,
}

/// What a flag asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// Make it again without the content.
    Retrain,
    /// Look at it.
    Review,
}

/// What the rules say about a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promotion {
    /// Nothing speaks against it.
    Allowed,
    /// It goes ahead with a warning: the origin is unknown.
    Warned,
    /// It is refused.
    Refused,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Content at this level or above raises flags.
    pub flag_level: Level,
}

impl Default for Policy {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Policy {
    /// The rules without any `policy.set`: content at `restricted` or above raises flags.
    #[must_use]
    pub fn builtin() -> Self {
        Self { flag_level: Level::Restricted }
    }

    /// The flag that a version gets for content of `level`. `learned` says whether some way from the
    /// content to the version goes through learning roles only; where every way measures or looks up
    /// (`eval`, `golden`, `reference`), a review is enough.
    #[must_use]
    pub fn flag(&self, verdict: Verdict, level: Level, learned: bool) -> Option<FlagKind> {
        if level < self.flag_level {
            return None;
        }
        match verdict {
            Verdict::Affected if learned => Some(FlagKind::Retrain),
            Verdict::Affected | Verdict::Possible => Some(FlagKind::Review),
            Verdict::Unknown | Verdict::Unaffected => None,
        }
    }

    /// Whether a version with these flags may be promoted. `origin_known` is false for a version whose
    /// verdict is [`Verdict::Unknown`] for content that did not reach it.
    #[must_use]
    pub fn promotion(&self, flags: &[FlagKind], origin_known: bool) -> Promotion {
        if !flags.is_empty() {
            Promotion::Refused
        } else if origin_known {
            Promotion::Allowed
        } else {
            Promotion::Warned
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_rules() {
        let p = Policy::builtin();
        let flag = |v, l, learned| p.flag(v, l, learned);
        assert_eq!(flag(Verdict::Affected, Level::Restricted, true), Some(FlagKind::Retrain));
        assert_eq!(flag(Verdict::Affected, Level::Prohibited, true), Some(FlagKind::Retrain));
        assert_eq!(flag(Verdict::Affected, Level::Confidential, true), None);
        assert_eq!(flag(Verdict::Affected, Level::Restricted, false), Some(FlagKind::Review));
        assert_eq!(flag(Verdict::Possible, Level::Restricted, true), Some(FlagKind::Review));
        assert_eq!(flag(Verdict::Unknown, Level::Prohibited, true), None);
        assert_eq!(flag(Verdict::Unaffected, Level::Prohibited, true), None);
        assert_eq!(p.promotion(&[FlagKind::Review], true), Promotion::Refused);
        assert_eq!(p.promotion(&[FlagKind::Retrain], false), Promotion::Refused);
        assert_eq!(p.promotion(&[], true), Promotion::Allowed);
        assert_eq!(p.promotion(&[], false), Promotion::Warned);
    }
}
