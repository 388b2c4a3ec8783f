//! The service as others see it: over mutual TLS, with the policy of the repository, on both databases.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

/// Makes two tests of each function: one on SQLite, one on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Fixture::postgres().await).await;
            })+
        }
    };
}

mod accounts;
mod callers;
mod cancellation;
mod outage;
mod revocations;
mod start;
mod support;
