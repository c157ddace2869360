//! A first pass over a pickle, before anything is made of it.

use std::io::{Read, Seek};

use super::Expected;
use super::opcode::{Instruction, Program};

/// What a pickle needs: a pickle notes nearly every value, and fetches few of them again.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// A bit for each place of the memo.
    fetched: Vec<u64>,
    /// How many values were noted.
    noted: u64,
    /// The first opcode that is not carried out.
    refused: Option<u8>,
    /// What is said of a name that is not expected.
    unexpected: Option<String>,
}

impl Survey {
    /// Goes through a pickle.
    ///
    /// # Errors
    /// If it has a name that is not expected, has an instruction that is not carried out, or is damaged. What the pickle would call is
    /// told rather than the old instructions by which it does that.
    pub(super) fn of(
        program: &mut Program<impl Read + Seek>,
        expected: &Expected,
    ) -> Result<Self, String> {
        let mut survey = Self::default();
        let end = survey.pass(program, expected);
        match (survey.unexpected.take(), survey.refused) {
            (Some(name), _) => Err(name),
            (None, Some(opcode)) => Err(format!("opcode {opcode:#04x}")),
            (None, None) => end.map(|()| survey),
        }
    }

    fn pass(
        &mut self,
        program: &mut Program<impl Read + Seek>,
        expected: &Expected,
    ) -> Result<(), String> {
        loop {
            let (opcode, instruction) = program.next()?;
            match instruction {
                Instruction::Stop => return Ok(()),
                Instruction::Data(_, length) => program.skip(length)?,
                Instruction::Put(_) | Instruction::Memoize => self.noted += 1,
                Instruction::Get(place) => self.fetch(place)?,
                Instruction::Global => self.name(program, expected)?,
                Instruction::Instance => {
                    self.refused.get_or_insert(opcode);
                    self.name(program, expected)?;
                }
                Instruction::Refused(length) => {
                    self.refused.get_or_insert(opcode);
                    program.skip(length)?;
                }
                Instruction::RefusedLine => {
                    self.refused.get_or_insert(opcode);
                    program.line()?;
                }
                Instruction::Unknown => {
                    self.refused.get_or_insert(opcode);
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Looks at the name that follows.
    fn name(
        &mut self,
        program: &mut Program<impl Read + Seek>,
        expected: &Expected,
    ) -> Result<(), String> {
        let (module, name) = (program.line()?, program.line()?);
        if let Err(unexpected) = expected.place(&module, &name) {
            self.unexpected.get_or_insert(unexpected);
        }
        Ok(())
    }

    /// Python counts the places from 0 on, or from 1 on: none is beyond the number of values that were noted.
    fn fetch(&mut self, place: u64) -> Result<(), String> {
        if place > self.noted {
            return Err("a reference to nothing".to_owned());
        }
        let word = (place / 64) as usize;
        if word >= self.fetched.len() {
            self.fetched.resize(word + 1, 0);
        }
        self.fetched[word] |= 1 << (place % 64);
        Ok(())
    }

    /// Whether the value at a place of the memo is ever needed.
    pub(super) fn is_fetched(&self, place: u64) -> bool {
        let word = usize::try_from(place / 64).ok();
        let word = word.and_then(|word| self.fetched.get(word));
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}
