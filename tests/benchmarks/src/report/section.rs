use comfy_table::{CellAlignment, Table, presets};

/// A table with a title.
pub struct Section {
    pub title: String,
    header: &'static [&'static str],
    /// The number of text columns. The other columns are numbers.
    texts: usize,
    rows: Vec<Vec<String>>,
}

impl Section {
    pub fn new(
        title: impl Into<String>,
        header: &'static [&'static str],
        texts: usize,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self {
            title: title.into(),
            header,
            texts,
            rows: rows.into_iter().collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn for_terminal(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        self.fill(table)
    }

    pub fn as_markdown(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        self.fill(table)
    }

    fn fill(&self, mut table: Table) -> Table {
        table.set_header(self.header);
        table.add_rows(&self.rows);
        for column in table.column_iter_mut().skip(self.texts) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
