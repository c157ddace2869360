//! Subjects on disk: which there are (rule 2.1), their traces (2.2) and their cell positions (2.3 to 2.5).
