//! `stagegate jobs logs`

use crate::Answer;
use crate::output::{Output, clean, one_line, status_mark, status_word};
use crate::session::Session;
use anyhow::Result;
use serde_json::json;
use stagegate_api::client::{OutputEvent, Workspace};
use stagegate_api::{OutputEnded, OutputPiece};

/// What a job has written, as far as it is kept: its last 64 KiB.
///
/// With `--follow` more is shown as it comes, until the job has ended; the exit code then says how: 0 when it was
/// successful, 1 when it was not. A job that waits for a runner is waited for.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate jobs logs 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10
  stagegate jobs logs -f 0193e5a2-7c1f-7d3e-8a44-0f8e2b6c9d10 && echo deployed")]
pub struct Args {
    /// The job's id
    id: String,
    /// Go on until the job has ended
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub async fn run(self, session: Session) -> Result<Answer> {
        let workspace = session.workspace().await?;
        if self.follow {
            return follow(&workspace, &self.id, &session.out).await;
        }
        let output = workspace.job_output(&self.id, 0).await?;
        if output.start > 0 {
            session.out.note(&left_out(output.start));
        }
        session.out.show(&output, |it, _| clean(&it.text))?;
        Ok(Answer::Yes)
    }
}

fn left_out(bytes: u64) -> String {
    format!("[{bytes} bytes before this are not kept]")
}

/// Shows output as it comes; the answer is whether the job was successful.
async fn follow(workspace: &Workspace, id: &str, out: &Output) -> Result<Answer> {
    let mut output = workspace.follow_job_output(id, 0);
    let mut shown = Shown::default();
    while let Some(event) = output.next().await? {
        match event {
            OutputEvent::Output(piece) if out.is_json() => {
                out.json_line(
                    &json!({"event": "output", "offset": piece.offset, "text": piece.text}),
                )?;
            }
            OutputEvent::Output(piece) => shown.piece(&piece, out)?,
            OutputEvent::End(end) => {
                shown.finish(out)?;
                return told(&end, out);
            }
        }
    }
    // The stream ends with an event that says how.
    Ok(Answer::No)
}

fn told(end: &OutputEnded, out: &Output) -> Result<Answer> {
    if out.is_json() {
        out.json_line(&json!({"event": "end", "status": end.status, "message": end.message}))?;
    } else {
        out.note(&ending(end));
    }
    Ok(if end.status == "successful" {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn ending(end: &OutputEnded) -> String {
    let (mark, word) = (status_mark(&end.status), status_word(&end.status));
    if end.message.is_empty() {
        format!("{mark} {word}")
    } else {
        format!("{mark} {word}: {}", one_line(&end.message))
    }
}

/// What a person has been shown.
#[derive(Debug, Default)]
struct Shown {
    end: u64,
    in_line: bool,
}

impl Shown {
    fn piece(&mut self, piece: &OutputPiece, out: &Output) -> Result<()> {
        if piece.offset > self.end {
            self.finish(out)?;
            out.note(&left_out(piece.offset - self.end));
        }
        self.end = piece.offset + piece.text.len() as u64;
        self.in_line = !piece.text.ends_with('\n');
        out.piece(&clean(&piece.text))
    }

    /// Ends a line that was begun.
    fn finish(&mut self, out: &Output) -> Result<()> {
        if std::mem::take(&mut self.in_line) {
            out.piece("\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_in_one_line() {
        let end = |status: &str, message: &str| {
            ending(&OutputEnded {
                status: status.to_owned(),
                message: message.to_owned(),
            })
        };
        assert_eq!(end("successful", ""), "✓ successful");
        assert_eq!(end("failure", "exit\ncode 3"), "✗ failure: exit code 3");
    }
}
