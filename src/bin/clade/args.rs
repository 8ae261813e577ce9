//! What can be typed. Parsing does no work.

use clap::{Args, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// The commands by group, as `clade help` shows them. A test holds this text against the commands.
const GROUPS: &str = "\
Work
  init         Set up this clone: filter, hooks, ledger
  track        Let clade keep files that match a pattern
  untrack      Give matching files back to git
  add          Store files and stage them, on all cores
  status       What changed, what is missing here, what is not pushed
  log          Versions of an asset
  pull         Fetch bytes and put them in place
  push         Upload bytes, push refs, push the ledger
  drop         Turn safely stored files back into pointers
  restore      Write a pinned version to a folder, verified
  run          Run a command and record what it read and wrote

Ask
  impact       Which models descend from this data
  why          How one version came to depend on another
  flag         Models that should be retrained or reviewed

Classify
  class        Set, retract or list classifications

Release
  promote      Let an environment point to a version
  rollback     Return an environment to an earlier version
  env          Environments: now, earlier, on a date

Keep safe
  remote       Places that hold copies
  verify       Read everything and check it

Set up
  uninstall    Take clade out of this clone again
  doctor       Check the installation and this clone
  demo         See the whole story in a minute
  completions  Shell completions
";

const TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}\n\n{after-help}\nOptions\n{options}\n";

/// Versions models and datasets with git's own commands, and knows every descendant of every byte.
#[derive(Debug, Parser)]
#[command(name = "clade", version, help_template = TEMPLATE, after_help = GROUPS, disable_help_subcommand = false)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
    /// Print the answer as one line of JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say less: once without status and progress, twice without warnings
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) quiet: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(InitArgs),
    Uninstall(UninstallArgs),
    Track(TrackArgs),
    Untrack(UntrackArgs),
    Add(AddArgs),
    Status(StatusArgs),
    Log(LogArgs),
    Pull(PullArgs),
    Push(PushArgs),
    Drop(DropArgs),
    Restore(RestoreArgs),
    Run(RunArgs),
    Impact(ImpactArgs),
    Why(WhyArgs),
    #[command(subcommand)]
    Flag(FlagCommand),
    #[command(subcommand)]
    Class(ClassCommand),
    Promote(PromoteArgs),
    Rollback(RollbackArgs),
    #[command(subcommand)]
    Env(EnvCommand),
    #[command(subcommand)]
    Remote(RemoteCommand),
    Verify(VerifyArgs),
    Doctor,
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    #[command(name = "filter-process", hide = true)]
    FilterProcess,
    #[command(hide = true)]
    Textconv(TextconvArgs),
    #[command(name = "merge-driver", hide = true)]
    MergeDriver(MergeDriverArgs),
    #[command(hide = true)]
    Hook(HookArgs),
}

/// Set up this clone: the filter, hooks, and where the ledger is fetched from. Safe to repeat.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// For every clone of this user: a fresh clone is set up by its first checkout
    #[arg(long)]
    pub(crate) global: bool,
}

/// Take clade out of this clone again: configuration and hooks become what they were.
///
/// The store stays, so that no byte is lost; its place is printed.
#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Undo `clade init --global`
    #[arg(long)]
    pub(crate) global: bool,
}

/// Let clade keep files that match PATTERN (a pattern of .gitattributes), and stage those that exist.
#[derive(Debug, Args)]
pub(crate) struct TrackArgs {
    /// Patterns such as '*.safetensors' or 'data/**' (can be repeated)
    #[arg(required = true, value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// What the files are: model, dataset, pipeline or golden
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Name under which all matching files are one asset
    #[arg(long, value_name = "NAME")]
    pub(crate) asset: Option<String>,
    /// Who is told about flags, for example a team's address
    #[arg(long, value_name = "OWNER")]
    pub(crate) owner: Option<String>,
    /// Leave the files to git and only name their asset and kind
    #[arg(long)]
    pub(crate) attributes_only: bool,
}

/// Give files that match PATTERN back to git: the lines of `clade track` go, contents return to git.
#[derive(Debug, Args)]
pub(crate) struct UntrackArgs {
    /// The patterns, as they were given to `clade track` (can be repeated)
    #[arg(required = true, value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
}

/// Store files and stage them: what `git add` does, on all cores.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Store a damaged model file as it is
    #[arg(long)]
    pub(crate) as_is: bool,
}

/// What changed, what is missing here, what is not pushed, what is flagged.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// Versions of an asset, newest first.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The asset; all of them where none is named
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// At most this many versions
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_count: Option<usize>,
}

/// Fetch bytes and the ledger, and put contents in place of pointers. Never merges branches.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Files and folders; all where none is named
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Only paths that match this pattern (can be repeated)
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Fetch into the store and leave the working tree alone
    #[arg(long)]
    pub(crate) no_checkout: bool,
}

/// Upload what the refs need, then push the refs with git, then the ledger.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The git remote
    #[arg(value_name = "REMOTE")]
    pub(crate) remote: Option<String>,
    /// What to push, as git takes it (can be repeated)
    #[arg(value_name = "REFSPEC")]
    pub(crate) refspecs: Vec<String>,
    /// Say what would be uploaded, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Upload bytes and the ledger only
    #[arg(long)]
    pub(crate) no_refs: bool,
}

/// Turn files back into pointers, where a remote holds their bytes.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Say what would be dropped, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Write a pinned version to a folder, every byte verified. Works without a clone, history or git.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// NAME@X: X is an environment, a git revision, or b3: and the beginning of an id
    #[arg(value_name = "NAME@X")]
    pub(crate) version: String,
    /// The folder to write to
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) to: PathBuf,
    /// A remote's name, path or URL to take the bytes from
    #[arg(long, value_name = "URL|REMOTE")]
    pub(crate) from: Option<String>,
    /// A git repository to look the version up in, when there is no clone
    #[arg(long, value_name = "URL")]
    pub(crate) git: Option<String>,
    /// Replace files that are there with other contents
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not ask the ledger's remote for news: answer from what is here
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Run a command and record what it read, what it wrote, how long it took and how it ended.
///
/// Exits as the command did.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What the command reads, with its role: train (default), finetune, base, eval, golden, tokenizer,
    /// config, reference, resume (can be repeated)
    #[arg(long = "in", value_name = "[ROLE=]PATH")]
    pub(crate) inputs: Vec<String>,
    /// What the command writes (can be repeated)
    #[arg(long = "out", value_name = "PATH")]
    pub(crate) outputs: Vec<PathBuf>,
    /// Code files that the step consists of, as patterns (can be repeated)
    #[arg(long = "code", value_name = "GLOB")]
    pub(crate) code: Vec<String>,
    /// A parameter to record (can be repeated)
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<String>,
    /// The random seed to record
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Run the steps of a pipeline file
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with_all = ["inputs", "outputs", "code", "params", "seed", "command"])]
    pub(crate) file: Option<PathBuf>,
    /// Only these steps of the pipeline file (can be repeated)
    #[arg(long, requires = "file", value_name = "NAME")]
    pub(crate) step: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// Which models descend from this data: affected, possible, of unknown origin.
#[derive(Debug, Args)]
pub(crate) struct ImpactArgs {
    /// NAME, NAME@X, NAME:PATH or b3: and the beginning of an id
    #[arg(value_name = "TARGET", required_unless_present = "file")]
    pub(crate) target: Option<String>,
    /// The content of this file, wherever it was used
    #[arg(long, value_name = "FILE", conflicts_with = "target", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Exit with 1 when a model is affected, possible or unknown
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Print counts only
    #[arg(long)]
    pub(crate) count: bool,
}

/// How one version came to depend on another: every step with its evidence.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The model or other descendant: NAME or NAME@X
    #[arg(value_name = "NAME@X")]
    pub(crate) descendant: String,
    /// The data that it may depend on: NAME, NAME@X, NAME:PATH or b3:ID
    #[arg(value_name = "TARGET")]
    pub(crate) ancestor: String,
}

/// Models that should be retrained or reviewed, derived from classifications and lineage.
#[derive(Debug, Subcommand)]
pub(crate) enum FlagCommand {
    /// List flags with their cause
    List {
        /// Only flags of this asset
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Exit with 1 when there is a flag
        #[arg(long)]
        exit_code: bool,
    },
}

/// Set, retract or list classifications.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassCommand {
    /// Classify a dataset, a folder, a file or a content, now and in every version
    Set {
        /// NAME, NAME:PATH, NAME@X (that version only) or b3: and the beginning of an id
        #[arg(value_name = "TARGET", required_unless_present = "content")]
        target: Option<String>,
        /// The content of this file, wherever it is
        #[arg(long, value_name = "FILE", conflicts_with = "target", value_hint = ValueHint::FilePath)]
        content: Option<PathBuf>,
        /// public, internal, confidential, restricted or prohibited
        #[arg(long, value_name = "LEVEL")]
        level: Option<String>,
        /// A tag such as personal-data (can be repeated)
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Why; recorded for good
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// Ids of earlier classifications that this one replaces (can be repeated)
        #[arg(long, value_name = "EVENT")]
        supersedes: Vec<String>,
    },
    /// Withdraw classifications by their ids
    Retract {
        /// Beginnings of event ids, as `clade class log` prints them
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<String>,
        /// Why; recorded for good
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List classifications, oldest first, with who and why
    Log {
        /// Only those that name this asset
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

/// Let an environment point to a version. Refused while the version is flagged.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// NAME@X (can be repeated: all move together)
    #[arg(required = true, value_name = "NAME@X")]
    pub(crate) versions: Vec<String>,
    /// The environment, for example prod
    #[arg(long, value_name = "ENV")]
    pub(crate) to: String,
    /// Promote although it is refused; the reason is recorded for good
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) override_reason: Option<String>,
}

/// Return an environment to an earlier version, whose bytes are checked first.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The asset
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub(crate) env: String,
    /// A certain version instead of the last good one: NAME@X's X
    #[arg(long, value_name = "X")]
    pub(crate) to: Option<String>,
    /// Roll back although it is refused; the reason is recorded for good
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) override_reason: Option<String>,
}

/// Environments: which version each asset has now, had earlier, had on a date.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// List environments
    List,
    /// Show what an environment points to
    Show {
        /// The environment
        #[arg(value_name = "ENV")]
        env: String,
        /// As it was at this time: a date or an RFC 3339 time
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
    /// Show every move, newest first
    History {
        /// The environment
        #[arg(value_name = "ENV")]
        env: String,
        /// Only this asset
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Only moves up to this time: a date or an RFC 3339 time
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
}

/// Places that hold copies of the bytes.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Add a remote and prove that it keeps what clade relies on
    Add {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// A folder, as a path or file:// URL
        #[arg(value_name = "URL")]
        url: String,
    },
    /// List remotes
    List,
    /// Forget a remote; what it holds stays there
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Check the store: packs, index, and that every version on a ref has all its bytes.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Check names and sizes only, and read nothing
    #[arg(long)]
    pub(crate) quick: bool,
}

/// A guided run of the main job that prints each command and its real output.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// An empty or new folder that is kept; a temporary one where none is given
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Print completions for a shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct TextconvArgs {
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MergeDriverArgs {
    pub(crate) base: PathBuf,
    pub(crate) ours: PathBuf,
    pub(crate) theirs: PathBuf,
    pub(crate) path: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct HookArgs {
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) git_pid: Option<u32>,
    #[arg(last = true)]
    pub(crate) args: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group_and_plumbing_in_none() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let listed = GROUPS.lines().filter(|l| l.split_whitespace().next() == Some(name) && l.starts_with("  "));
            assert_eq!(listed.count(), usize::from(!command.is_hide_set()), "{name}");
        }
    }
}
