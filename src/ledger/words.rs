//! The words that events use. All but levels and forms are open: a word of a newer program is kept as it
//! is, so that one new role does not make an old reader refuse a whole batch.

use std::fmt;

macro_rules! open_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that this program does not know.
            Other(String),
        }

        impl $name {
            /// The word as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                Self::from(word.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_words! {
    /// What an asset is.
    AssetKind {
        /// Weights of a model.
        Model = "model",
        /// Data that models learn from or are tested on.
        Dataset = "dataset",
        /// A pipeline's configuration.
        Pipeline = "pipeline",
        /// A golden set: the fixed test that models are compared on.
        Golden = "golden",
    }
}

impl AssetKind {
    /// The kind that a path has when no attribute says one: a model by its extension, else a dataset.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        const MODEL: [&str; 10] =
            ["safetensors", "gguf", "pt", "pth", "onnx", "ckpt", "h5", "keras", "tflite", "joblib"];
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.') {
            Some((_, ext)) if MODEL.iter().any(|m| m.eq_ignore_ascii_case(ext)) => Self::Model,
            _ => Self::Dataset,
        }
    }
}

open_words! {
    /// What a run used an input for.
    Role {
        /// Learned from it.
        Train = "train",
        /// Learned from it, starting from a base.
        Finetune = "finetune",
        /// Started from these weights.
        Base = "base",
        /// Measured on it.
        Eval = "eval",
        /// Measured on it as the golden set.
        Golden = "golden",
        /// Read tokens with it.
        Tokenizer = "tokenizer",
        /// Was configured by it.
        Config = "config",
        /// Looked something up in it.
        Reference = "reference",
        /// Went on from it: a checkpoint or another partial output.
        Resume = "resume",
    }
}

impl Role {
    /// Whether what such an input holds ends up in the weights. Roles that only measure or look up
    /// (`eval`, `golden`, `reference`) do not; a role of a newer program counts as learning.
    #[must_use]
    pub fn learns(&self) -> bool {
        !matches!(self, Self::Eval | Self::Golden | Self::Reference)
    }
}

open_words! {
    /// How an edge of the lineage is known.
    Evidence {
        /// Seen by `clade run` itself.
        Observed = "observed",
        /// Said by a person or a pipeline file.
        Declared = "declared",
        /// Taken over from another tool's records.
        Imported = "imported",
    }
}

open_words! {
    /// How a run ended.
    Outcome {
        /// It ended by itself with success.
        Done = "done",
        /// It ended by itself without success.
        Failed = "failed",
        /// A signal or a lost machine ended it.
        Killed = "killed",
    }
}

open_words! {
    /// Why an environment moved.
    MoveCause {
        /// A version was promoted.
        Promote = "promote",
        /// The environment went back to an earlier version.
        Rollback = "rollback",
        /// A conflict of concurrent moves was settled.
        Resolve = "resolve",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_extension() {
        assert_eq!(AssetKind::of_path("a/b.SafeTensors"), AssetKind::Model);
        assert_eq!(AssetKind::of_path("a.pt/b"), AssetKind::Dataset);
        assert_eq!(AssetKind::of_path("b.csv"), AssetKind::Dataset);
    }

    #[test]
    fn unknown_words_are_kept() {
        let role = Role::from("distil");
        assert_eq!(role.as_str(), "distil");
        assert!(role.learns());
        assert!(!Role::from("golden").learns());
    }
}
