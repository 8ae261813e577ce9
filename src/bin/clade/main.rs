//! The command line of clade.

mod args;
mod commands;
mod context;
mod ui;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let printer = ui::Printer::new(cli.json, cli.quiet);
    match context::Cx::new(&cli, printer) {
        Ok(cx) => {
            let result = commands::run(&cx, &cli.command);
            cx.finish(result)
        }
        Err((printer, e)) => {
            printer.error(&e);
            ExitCode::from(e.exit_code())
        }
    }
}
