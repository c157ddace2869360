//! The figures of a subject as a PDF (rule 8.3).
