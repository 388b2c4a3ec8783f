//! One test on both databases.

/// Makes two tests of each function of a module: one on SQLite, one on Postgres. What a function is given is made by `Fixture` of
/// that module, with `Fixture::sqlite()` or `Fixture::postgres()`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Fixture::postgres().await).await;
            })+
        }
    };
}
