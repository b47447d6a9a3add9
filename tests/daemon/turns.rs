//! Tests that measure milliseconds run alone; the others run together.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static CORES: RwLock<()> = RwLock::const_new(());

/// For a test whose times are generous.
pub async fn together() -> RwLockReadGuard<'static, ()> {
    CORES.read().await
}

/// For a test that measures: nothing else of this program runs meanwhile.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    CORES.write().await
}
