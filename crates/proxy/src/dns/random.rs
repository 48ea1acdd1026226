//! Numbers that nobody can guess, taken from the kernel many at a time.

/// Bytes taken at once.
const STOCK: usize = 1024;

pub struct Random {
    stock: Vec<u8>,
}

impl Default for Random {
    fn default() -> Self {
        Self { stock: Vec::with_capacity(STOCK) }
    }
}

impl Random {
    /// The next number. Should the kernel have none, which after its start it always has, the process ends: with ids that can be
    /// guessed, others could answer.
    pub fn number(&mut self) -> u16 {
        loop {
            if let (Some(high), Some(low)) = (self.stock.pop(), self.stock.pop()) {
                return u16::from_be_bytes([high, low]);
            }
            self.stock.resize(STOCK, 0);
            if let Err(error) = getrandom::fill(&mut self.stock) {
                tracing::error!(%error, "the kernel gives no random numbers");
                std::process::abort();
            }
        }
    }
}
