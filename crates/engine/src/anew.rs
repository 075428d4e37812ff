//! Readings that begin anew. The state of a server that was read is gone with its connection: another one is read from its
//! beginning.

use std::time::Duration;

use dualrun_sources::ANEW;

use crate::{error::EngineError, progress::Progress};

/// How often a reading broke off.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Breaks(u32);

impl Breaks {
    /// Whether what ended so begins anew: at most four times, after 1, 2, 4 and 8 s. A server that was never `reached` is
    /// not waited for.
    pub(crate) async fn again(
        &mut self,
        error: &EngineError,
        reached: bool,
        progress: &dyn Progress,
    ) -> bool {
        let may = self.0 < ANEW && (self.0 > 0 || reached);
        let Some(what) = error.broke_off().filter(|_| may) else { return false };
        let pause = Duration::from_secs(1 << self.0);
        self.0 += 1;
        progress.note(&format!("{}: {what} is read anew in {} s", error.chain(), pause.as_secs()));
        tokio::time::sleep(pause).await;
        true
    }

    /// What a report says of it.
    pub(crate) fn note(self) -> Option<String> {
        let times = match self.0 {
            0 => return None,
            1 => "once".to_owned(),
            n => format!("{n} times"),
        };
        Some(format!("servers were read anew after the reading broke off {times}"))
    }
}
