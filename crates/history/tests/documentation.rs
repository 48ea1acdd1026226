//! docs/history.md says what the columns are.

use ciliate_history::Column;

#[test]
fn all_columns_are_documented() {
    let table = Column::table();
    assert!(
        include_str!("../../../docs/history.md").contains(&table),
        "docs/history.md lacks this table:\n{table}"
    );
}
