//! A SQLite file: how it is made, that writers take turns, that abandoned work leaves nothing.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mesh_store::{DatabaseUrl, Db, StoreConfig, StoreErrorKind, on};

struct Fixture {
    folder: tempfile::TempDir,
    db: Db,
}

async fn open() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(DatabaseUrl::sqlite(folder.path().join("deep/er/test.db")));
    let db = Db::connect(&config).await.unwrap();
    on!(db.write(), "CREATE TABLE t", |e| {
        sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE) STRICT")
            .execute(e)
            .await
            .map(|_| ())
    })
    .unwrap();
    Fixture { folder, db }
}

async fn count(db: &Db) -> i64 {
    on!(db.read(), "SELECT t", |e| sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(e).await).unwrap()
}

async fn insert(db: &Db, value: &str) -> Result<(), mesh_store::StoreError> {
    let mut tx = db.begin().await?;
    on!(tx.conn(), "INSERT t", |e| {
        sqlx::query("INSERT INTO t (v) VALUES ($1)").bind(value).execute(e).await.map(|_| ())
    })?;
    tx.commit().await
}

#[tokio::test]
async fn the_file_and_its_companions_are_private() {
    let fixture = open().await;
    insert(&fixture.db, "x").await.unwrap();
    let folder = fixture.folder.path().join("deep/er");
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn the_settings_that_durability_rests_on_are_in_force() {
    let fixture = open().await;
    for (pragma, expected) in
        [("PRAGMA journal_mode", "wal"), ("PRAGMA synchronous", "2"), ("PRAGMA foreign_keys", "1")]
    {
        let sqlx::Result::Ok(row) = async {
            let Db::Sqlite { write, .. } = &fixture.db else { panic!("not SQLite") };
            sqlx::query(pragma).fetch_one(write).await
        }
        .await
        else {
            panic!("{pragma}")
        };
        let value = sqlx::Row::try_get::<String, _>(&row, 0)
            .or_else(|_| sqlx::Row::try_get::<i64, _>(&row, 0).map(|number| number.to_string()));
        assert_eq!(value.unwrap(), expected, "{pragma}");
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let fixture = open().await;
    let result = on!(fixture.db.read(), "INSERT t", |e| {
        sqlx::query("INSERT INTO t (v) VALUES ('x')").execute(e).await.map(|_| ())
    });
    assert_eq!(result.unwrap_err().kind(), StoreErrorKind::Other);
    assert_eq!(count(&fixture.db).await, 0);
}

#[tokio::test]
async fn writers_take_turns() {
    let fixture = open().await;
    let writers = (0..50).map(|number| {
        let db = fixture.db.clone();
        tokio::spawn(async move { insert(&db, &number.to_string()).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(count(&fixture.db).await, 50);
}

#[tokio::test]
async fn a_double_is_unique_and_undone() {
    let fixture = open().await;
    insert(&fixture.db, "x").await.unwrap();
    assert!(insert(&fixture.db, "x").await.unwrap_err().is_unique());
    insert(&fixture.db, "y").await.unwrap();
    assert_eq!(count(&fixture.db).await, 2);
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back_and_frees_the_writer() {
    let fixture = open().await;
    for micros in 0..200 {
        let work = async {
            let mut tx = fixture.db.begin().await?;
            on!(tx.conn(), "INSERT t", |e| {
                sqlx::query("INSERT INTO t (v) VALUES ('abandoned')").execute(e).await.map(|_| ())
            })?;
            std::future::pending::<Result<(), mesh_store::StoreError>>().await
        };
        tokio::time::timeout(Duration::from_micros(micros * 20), work).await.unwrap_err();
    }
    insert(&fixture.db, "kept").await.unwrap();
    assert_eq!(count(&fixture.db).await, 1);
}

#[tokio::test]
async fn the_root_key_is_made_once() {
    let Fixture { db, folder: _folder } = open().await;
    let table = "CREATE TABLE secrets (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT";
    on!(db.write(), "CREATE TABLE secrets", |e| sqlx::query(table).execute(e).await.map(|_| ())).unwrap();
    let key = db.root_key().await.unwrap();
    assert_eq!((key.len(), db.root_key().await.unwrap()), (32, key.clone()));
    assert_ne!(key, [0; 32]);
}
