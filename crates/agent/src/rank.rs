//! Which threads step back for others when the processor has too much to do. What looks at connections must not take from them what they
//! need: what comes too late is counted and told, a request that waits is only slow.

/// Behind the workloads, the proxy and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Whoever makes flows of what is reported, keeps them and tells of them. About a tenth of what a thread of the first rank gets.
    Seeing,
    /// Whoever has hours for it.
    Filing,
}

impl Rank {
    /// Of the calling thread and of those that it starts.
    pub fn take(self) {
        let steps = match self {
            Self::Seeing => 10,
            Self::Filing => 19,
        };
        if let Err(error) = rustix::process::nice(steps) {
            tracing::warn!(%error, rank = ?self, "a thread works as if it were urgent");
        }
    }
}
