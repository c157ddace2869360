//! A PDF of several pages in the fonts that every reader brings along.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::metrics::{Face, SYMBOLS};
use super::pdf::{A4, font_name};

const CATALOG: Ref = Ref::new(1);
const PAGE_TREE: Ref = Ref::new(2);
const INFO: Ref = Ref::new(3);
const SYMBOL_TO_UNICODE: Ref = Ref::new(4);
const OUTLINE: Ref = Ref::new(5);
const FONTS: [(Face, Ref, &[u8]); 3] = [
    (Face::Regular, Ref::new(6), b"Helvetica"),
    (Face::Bold, Ref::new(7), b"Helvetica-Bold"),
    (Face::Symbol, Ref::new(8), b"Symbol"),
];
const FIRST_PAGE: i32 = 9;
/// A page, its content and its bookmark.
const OBJECTS_PER_PAGE: i32 = 3;

/// A PDF to which pages are added one after the other.
pub(super) struct Document {
    pdf: Pdf,
    bookmarks: Vec<String>,
}

impl Document {
    /// A document without pages.
    pub(super) fn new(title: &str, producer: &str) -> Self {
        let mut pdf = Pdf::new();
        pdf.catalog(CATALOG).pages(PAGE_TREE).outlines(OUTLINE);
        pdf.document_info(INFO)
            .title(TextStr(title))
            .producer(TextStr(producer));
        write_fonts(&mut pdf);
        Self {
            pdf,
            bookmarks: Vec::new(),
        }
    }

    /// Adds a page that shows `content` and is listed as `bookmark`.
    ///
    /// # Errors
    /// When the content cannot be compressed.
    pub(super) fn add_page(&mut self, content: &[u8], bookmark: String) -> std::io::Result<()> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content)?;
        let compressed = encoder.finish()?;

        let [page_id, content_id, _] = page_objects(self.bookmarks.len());
        self.pdf
            .stream(content_id, &compressed)
            .filter(Filter::FlateDecode);
        let mut page = self.pdf.page(page_id);
        let (width, height) = (A4.0 as f32, A4.1 as f32);
        page.parent(PAGE_TREE)
            .media_box(Rect::new(0.0, 0.0, width, height))
            .contents(content_id);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        for (face, id, _) in FONTS {
            fonts.pair(font_name(face), id);
        }
        fonts.finish();
        resources.finish();
        page.finish();
        self.bookmarks.push(bookmark);
        Ok(())
    }

    /// The bytes of the file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let count = self.bookmarks.len();
        let pages = (0..count).map(|page| page_objects(page)[0]);
        self.pdf
            .pages(PAGE_TREE)
            .kids(pages)
            .count(i32::try_from(count).unwrap_or(i32::MAX));
        self.write_outline();
        self.pdf.finish()
    }

    fn write_outline(&mut self) {
        let count = self.bookmarks.len();
        let mut outline = self.pdf.outline(OUTLINE);
        if count > 0 {
            outline
                .first(page_objects(0)[2])
                .last(page_objects(count - 1)[2])
                .count(i32::try_from(count).unwrap_or(i32::MAX));
        }
        outline.finish();
        for (place, title) in self.bookmarks.iter().enumerate() {
            let [page_id, _, item_id] = page_objects(place);
            let mut item = self.pdf.outline_item(item_id);
            item.title(TextStr(title)).parent(OUTLINE);
            if place > 0 {
                item.prev(page_objects(place - 1)[2]);
            }
            if place + 1 < count {
                item.next(page_objects(place + 1)[2]);
            }
            item.dest().page(page_id).fit();
        }
    }
}

/// The objects of a page: itself, its content, its bookmark.
fn page_objects(place: usize) -> [Ref; 3] {
    let first = FIRST_PAGE + OBJECTS_PER_PAGE * place as i32;
    [Ref::new(first), Ref::new(first + 1), Ref::new(first + 2)]
}

fn write_fonts(pdf: &mut Pdf) {
    for (face, id, base_font) in FONTS {
        let mut font = pdf.type1_font(id);
        font.base_font(Name(base_font));
        match face {
            Face::Symbol => font.to_unicode(SYMBOL_TO_UNICODE),
            Face::Regular | Face::Bold => font.encoding_predefined(Name(b"WinAnsiEncoding")),
        };
    }
    // By its own names Symbol's Delta would be found as U+2206 (increment) rather than as the Greek letter.
    let system = SystemInfo {
        registry: Str(b"Adobe"),
        ordering: Str(b"UCS"),
        supplement: 0,
    };
    let mut characters = UnicodeCmap::<u8>::new(Name(b"SymbolToUnicode"), system);
    for (character, byte, _) in SYMBOLS {
        characters.pair(byte, character);
    }
    pdf.cmap(SYMBOL_TO_UNICODE, &characters.finish());
}
