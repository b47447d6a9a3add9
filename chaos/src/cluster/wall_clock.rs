//! The wall clock of a server, set wrong while it runs.
//!
//! A Go program asks the kernel for the time past the C library, so `libfaketime` does not reach it, and time
//! namespaces leave the wall clock alone. But all of a Go program that wants to know the wall clock's time goes through
//! one place, `time.now`, where the seconds are taken from what the kernel wrote on the stack:
//!
//! ```text
//!   … call clock_gettime …                       … call clock_gettime …
//!   mov rax, [rsp+16]   seconds        ──►       jmp spare ──► mov rax, [rsp+16]
//!   mov rdi, [rsp+24]   nanoseconds              mov rdi, …    add rax, WRONG
//!                                                     ◄─────── jmp back
//! ```
//!
//! `spare` is room between two functions that is never run. Written through `/proc/PID/mem` while the process stands
//! still; each step leaves whole instructions, so it does not matter where a thread stood. The monotonic clock is asked
//! for elsewhere and stays right. x86-64 only, and only where exactly one such place is found: else nothing is touched.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// `call rax`, `mov edi, 1` (the monotonic clock), `lea rsi, [rsp]`, `mov rax, [rip+…]`.
const BEFORE: [u8; 14] = [0xff, 0xd0, 0xbf, 1, 0, 0, 0, 0x48, 0x8d, 0x34, 0x24, 0x48, 0x8b, 0x05];
/// Four bytes that differ, and `call rax`.
const BETWEEN: usize = 4 + 2;
/// `mov rax, [rsp+16]`.
const SECONDS: [u8; 5] = [0x48, 0x8b, 0x44, 0x24, 0x10];
/// `mov rdi, [rsp+24]`.
const NANOSECONDS: [u8; 5] = [0x48, 0x8b, 0x7c, 0x24, 0x18];
const JUMP: u8 = 0xe9;
/// Between functions there is nothing but `int3`.
const PADDING: u8 = 0xcc;
/// What is written there: `mov`, `add rax, imm32`, `jmp`.
const SPARE: usize = 5 + 6 + 5;

/// Where a program takes the time.
#[derive(Debug)]
pub struct WallClock {
    memory: File,
    place: u64,
    spare: u64,
}

impl WallClock {
    /// Finds it in a process. That takes a while, and the process goes on meanwhile.
    ///
    /// # Errors
    /// With why its clock cannot be set.
    pub fn of(pid: u32) -> Result<WallClock, String> {
        let say = |error: std::io::Error| format!("the memory of process {pid}: {error}");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(say)?;
        let (begin, length) = text(&maps).ok_or("a program without code")?;
        let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).map_err(say)?;
        let mut code = vec![0; length];
        memory.read_exact_at(&mut code, begin).map_err(say)?;
        let (place, spare) = find(&code)?;
        Ok(WallClock { memory, place: begin + place as u64, spare: begin + spare as u64 })
    }

    /// Sets it wrong by so many seconds, while the process stands still; 0 sets it right.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn set(&self, seconds: i32) -> Result<(), String> {
        let writes = [
            (self.spare, wrong(self.place, self.spare, seconds)?),
            (self.place, jump(self.place, self.spare)?),
        ];
        for (at, bytes) in writes {
            self.memory.write_all_at(&bytes, at).map_err(|error| format!("a server's memory: {error}"))?;
        }
        Ok(())
    }
}

/// Where a program's code is: the first part that is run.
fn text(maps: &str) -> Option<(u64, usize)> {
    let line = maps.lines().find(|line| line.contains(" r-xp "))?;
    let (begin, end) = line.split_whitespace().next()?.split_once('-')?;
    let (begin, end) = (u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    Some((begin, usize::try_from(end - begin).ok()?))
}

/// The place in a program, and room for more.
fn find(code: &[u8]) -> Result<(usize, usize), String> {
    let is_there = |at: &usize| {
        let place = at + BEFORE.len() + BETWEEN;
        let rest = code.get(place..place + 10).unwrap_or_default();
        code[*at..].starts_with(&BEFORE)
            && (rest.starts_with(&SECONDS) || rest.first() == Some(&JUMP))
            && rest.ends_with(&NANOSECONDS)
    };
    // Most of it is passed over by its first byte: this is slow enough in a debug build.
    let starts = code.iter().enumerate().filter(|(_, byte)| **byte == BEFORE[0]).map(|(at, _)| at);
    let found: Vec<usize> = starts.filter(is_there).collect();
    let [only] = found[..] else {
        return Err(format!(
            "the place where a Go program takes the time is found {} times, not once",
            found.len()
        ));
    };
    let place = only + BEFORE.len() + BETWEEN;
    let spare = match code[place] {
        JUMP => target(code, place).ok_or("a jump that leads nowhere")?,
        _ => spare(code, place).ok_or("no room between functions")?,
    };
    Ok((place, spare))
}

/// What is written to the room: takes the seconds, so many more, and goes back.
fn wrong(place: u64, spare: u64, seconds: i32) -> Result<Vec<u8>, String> {
    let back = jump(spare + 11, place + SECONDS.len() as u64)?;
    Ok([SECONDS.to_vec(), vec![0x48, 0x05], seconds.to_le_bytes().to_vec(), back].concat())
}

/// `jmp` from here to there.
fn jump(from: u64, to: u64) -> Result<Vec<u8>, String> {
    let far = i32::try_from(to as i64 - (from as i64 + 5)).map_err(|_| "too far to jump".to_owned())?;
    Ok([vec![JUMP], far.to_le_bytes().to_vec()].concat())
}

fn target(code: &[u8], jump: usize) -> Option<usize> {
    let far = i32::from_le_bytes(code.get(jump + 1..jump + 5)?.try_into().ok()?);
    let to = usize::try_from(jump as i64 + 5 + i64::from(far)).ok()?;
    (to + SPARE <= code.len()).then_some(to)
}

/// The next room between two functions: functions begin at multiples of 32.
fn spare(code: &[u8], after: usize) -> Option<usize> {
    let mut ends = (after / 32 + 1..code.len() / 32).map(|number| number * 32);
    ends.find_map(|end| {
        let room = code.get(end - SPARE - 1..end)?;
        // The next function is there, so this is no data.
        let is_free = room.iter().all(|byte| *byte == PADDING) && code[end] != PADDING;
        is_free.then_some(end - SPARE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something before, the place, and room behind.
    fn code() -> Vec<u8> {
        let mut code = vec![0x90; 64];
        code.extend(BEFORE);
        code.extend([1, 2, 3, 4, 0xff, 0xd0]);
        code.extend(SECONDS);
        code.extend(NANOSECONDS);
        code.resize(128, 0x90);
        code.resize(160, PADDING);
        code.resize(256, 0x90);
        code
    }

    fn apply(code: &mut [u8], seconds: i32) {
        let (place, spare) = find(code).unwrap();
        let (at, from) = (place as u64, spare as u64);
        for (to, bytes) in [(spare, wrong(at, from, seconds).unwrap()), (place, jump(at, from).unwrap())] {
            code[to..to + bytes.len()].copy_from_slice(&bytes);
        }
    }

    #[test]
    fn the_place_leads_to_the_spare_room_and_back() {
        let mut code = code();
        apply(&mut code, -3);
        let place = 64 + BEFORE.len() + BETWEEN;
        let spare = target(&code, place).unwrap();
        assert_eq!(spare, 160 - SPARE);
        assert_eq!(&code[spare..spare + 5], SECONDS);
        assert_eq!(&code[spare + 5..spare + 11], [0x48, 0x05, 0xfd, 0xff, 0xff, 0xff]);
        assert_eq!(target(&code, spare + 11), Some(place + 5));
        // Once more: at the same place, another number.
        let before = code.clone();
        apply(&mut code, 7);
        let changed: Vec<usize> = (0..code.len()).filter(|at| code[*at] != before[*at]).collect();
        assert_eq!(changed, [spare + 7, spare + 8, spare + 9, spare + 10]);
    }

    #[test]
    fn what_is_not_found_once_is_left_alone() {
        assert!(find(&[0x90; 300]).unwrap_err().contains("found 0 times"));
        let twice = [code(), code()].concat();
        assert!(find(&twice).unwrap_err().contains("found 2 times"));
    }
}
