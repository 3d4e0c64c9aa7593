//! `measure FILE PROGRAM ARGUMENT...`: runs a program and writes to FILE, as JSON, what it took.
//!
//! It is small on purpose. Linux counts the memory of the process that starts a program into the program's peak, so a
//! Python interpreter that measured by itself would find no program smaller than itself.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(report), Some(program)) = (arguments.next(), arguments.next()) else {
        return Err("usage: measure FILE PROGRAM ARGUMENT...".into());
    };
    let start = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let text = serde_json::json!({
        "status": status.code(),
        "wall": wall,
        "user": seconds(usage.user_time()),
        "system": seconds(usage.system_time()),
        "memory": usage.max_rss() * 1024,
    });
    fs::write(report, text.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
