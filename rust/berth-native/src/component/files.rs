//! `wasi:filesystem` answered by the host: descriptors are numbers of its open files and directories.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use wasmtime::Error;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::component::host::{Answer, EndedByHost, Function, Host, MOST_AT_ONCE, Packed, Refused, Unpack, ended};
use crate::component::state::State;

/// What a descriptor is here. The guest's resource type is the engine's; the table holds this under the same number.
#[derive(Clone, Copy)]
struct Node {
    object: u64,
    is_directory: bool,
    flags: DescriptorFlags,
}

/// Entries of a directory that were not read yet.
struct Listing(Mutex<VecDeque<DirectoryEntry>>);

/// In the order of the host's own list of errors, from 1 on.
const ERRORS: [ErrorCode; 21] = [
    ErrorCode::NotPermitted,
    ErrorCode::NotPermitted,
    ErrorCode::NoEntry,
    ErrorCode::Exist,
    ErrorCode::NotDirectory,
    ErrorCode::IsDirectory,
    ErrorCode::NotEmpty,
    ErrorCode::Loop,
    ErrorCode::NameTooLong,
    ErrorCode::Invalid,
    ErrorCode::ReadOnly,
    ErrorCode::Access,
    ErrorCode::InsufficientSpace,
    ErrorCode::FileTooLarge,
    ErrorCode::Quota,
    ErrorCode::CrossDevice,
    ErrorCode::Busy,
    ErrorCode::InvalidSeek,
    ErrorCode::Unsupported,
    ErrorCode::Io,
    ErrorCode::Unsupported,
];

fn code_of(status: i32) -> ErrorCode {
    usize::try_from(status - 1).ok().and_then(|at| ERRORS.get(at)).copied().unwrap_or(ErrorCode::Io)
}

fn ask(host: Host, function: Function, numbers: [u64; 4], bytes: &[u8]) -> FsResult<Answer> {
    match host.ask(function, numbers, bytes) {
        Ok(answer) if answer.status == 0 => Ok(answer),
        Ok(answer) => Err(code_of(answer.status).into()),
        Err(Refused::Denied) => Err(ErrorCode::NotPermitted.into()),
        Err(Refused::Ended) => Err(FsError::trap(Error::new(EndedByHost))),
    }
}

fn two(first: &str, second: &str) -> Vec<u8> {
    let mut packed = Packed::default();
    packed.bytes(first.as_bytes());
    packed.bytes(second.as_bytes());
    packed.0
}

fn kind_of(number: u64) -> DescriptorType {
    match number {
        1 => DescriptorType::Directory,
        2 => DescriptorType::RegularFile,
        3 => DescriptorType::SymbolicLink,
        _ => DescriptorType::Unknown,
    }
}

/// Kind, links, size, the three times, then device and number of the file.
fn stat_of(answer: &Answer) -> (DescriptorStat, (u64, u64)) {
    let mut numbers = Unpack(&answer.bytes);
    let kind = kind_of(numbers.number());
    let (links, size) = (numbers.number(), numbers.number());
    let mut time = || {
        let nanoseconds = numbers.number();
        Some(Datetime { seconds: nanoseconds / 1_000_000_000, nanoseconds: (nanoseconds % 1_000_000_000) as u32 })
    };
    let stat = DescriptorStat { type_: kind, link_count: links, size, data_access_timestamp: time(), data_modification_timestamp: time(), status_change_timestamp: time() };
    let identity = (numbers.number(), numbers.number());
    (stat, identity)
}

/// 0: left as it is, 1: now, 2: this.
fn time_of(time: NewTimestamp) -> FsResult<(u64, u64)> {
    Ok(match time {
        NewTimestamp::NoChange => (0, 0),
        NewTimestamp::Now => (1, 0),
        NewTimestamp::Timestamp(at) => {
            let nanoseconds = at.seconds.checked_mul(1_000_000_000).and_then(|all| all.checked_add(at.nanoseconds.into())).filter(|all| *all <= i64::MAX as u64);
            (2, nanoseconds.ok_or(ErrorCode::Overflow)?)
        }
    })
}

impl State {
    fn node(&self, fd: &Resource<Descriptor>) -> wasmtime::Result<Node> {
        Ok(*self.table.get(&Resource::<Node>::new_borrow(fd.rep()))?)
    }
    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<Node> {
        let node = self.node(fd).map_err(FsError::trap)?;
        if node.is_directory { Err(ErrorCode::IsDirectory.into()) } else { Ok(node) }
    }
    fn directory(&self, fd: &Resource<Descriptor>) -> FsResult<u64> {
        let node = self.node(fd).map_err(FsError::trap)?;
        if node.is_directory { Ok(node.object) } else { Err(ErrorCode::NotDirectory.into()) }
    }
    fn file_for(&self, fd: &Resource<Descriptor>, needed: DescriptorFlags) -> FsResult<u64> {
        let node = self.file(fd)?;
        if node.flags.contains(needed) { Ok(node.object) } else { Err(ErrorCode::NotPermitted.into()) }
    }
    fn hash(&self, answer: &Answer) -> MetadataHashValue {
        let (_, (device, number)) = stat_of(answer);
        MetadataHashValue { upper: device, lower: number }
    }
    fn identity(&self, fd: &Resource<Descriptor>) -> wasmtime::Result<Option<(u64, u64)>> {
        let node = self.node(fd)?;
        match self.host.ask(Function::FileStat, [node.object, 0, 0, 0], &[]) {
            Ok(answer) if answer.status == 0 => Ok(Some(stat_of(&answer).1)),
            Err(Refused::Ended) => Err(Error::new(EndedByHost)),
            _ => Ok(None),
        }
    }
}

impl preopens::Host for State {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let answer = self.host.ask_or_end(Function::FilePreopens, [0; 4])?;
        let mut packed = Unpack(&answer.bytes);
        let mut directories = Vec::new();
        while !packed.is_empty() {
            let (object, writable, name) = (packed.number(), packed.number(), packed.text());
            let flags = if writable != 0 { DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY } else { DescriptorFlags::READ };
            let node = self.table.push(Node { object, is_directory: true, flags })?;
            directories.push((Resource::new_own(node.rep()), name));
        }
        Ok(directories)
    }
}

impl types::Host for State {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
    fn filesystem_error_code(&mut self, error: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<ErrorCode>().copied())
    }
}

impl types::HostDescriptor for State {
    async fn advise(&mut self, fd: Resource<Descriptor>, _: u64, _: u64, _: Advice) -> FsResult<()> {
        self.file(&fd).map(|_| ()) // changes nothing that a guest could see
    }
    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        ask(self.host, Function::FileSync, [node.object, 1, 0, 0], &[]).map(|_| ())
    }
    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        ask(self.host, Function::FileSync, [node.object, 0, 0, 0], &[]).map(|_| ())
    }
    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        Ok(self.node(&fd).map_err(FsError::trap)?.flags)
    }
    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        Ok(if node.is_directory { DescriptorType::Directory } else { DescriptorType::RegularFile })
    }
    async fn set_size(&mut self, fd: Resource<Descriptor>, size: u64) -> FsResult<()> {
        let object = self.file_for(&fd, DescriptorFlags::WRITE)?;
        ask(self.host, Function::FileSetSize, [object, size, 0, 0], &[]).map(|_| ())
    }
    async fn set_times(&mut self, fd: Resource<Descriptor>, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        let ((a, accessed), (m, modified)) = (time_of(accessed)?, time_of(modified)?);
        ask(self.host, Function::FileSetTimes, [node.object, a | m << 2, accessed, modified], &[]).map(|_| ())
    }
    async fn read(&mut self, fd: Resource<Descriptor>, size: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let object = self.file_for(&fd, DescriptorFlags::READ)?;
        let answer = ask(self.host, Function::FileRead, [object, offset, size.min(1 << 20), 0], &[])?;
        let at_end = answer.bytes.is_empty() && size != 0;
        Ok((answer.bytes, at_end))
    }
    async fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let object = self.file_for(&fd, DescriptorFlags::WRITE)?;
        Ok(ask(self.host, Function::FileWrite, [object, offset, 0, 0], &bytes)?.x)
    }
    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let object = self.directory(&fd)?;
        let answer = ask(self.host, Function::FileList, [object, 0, 0, 0], &[])?;
        let mut packed = Unpack(&answer.bytes);
        let mut entries = VecDeque::new();
        while !packed.is_empty() {
            entries.push_back(DirectoryEntry { type_: kind_of(packed.number()), name: packed.text() });
        }
        let listing = self.table.push(Listing(Mutex::new(entries)))?;
        Ok(Resource::new_own(listing.rep()))
    }
    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let object = self.directory(&fd)?;
        ask(self.host, Function::FileMakeDirectory, [object, 0, 0, 0], path.as_bytes()).map(|_| ())
    }
    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        Ok(stat_of(&ask(self.host, Function::FileStat, [node.object, 0, 0, 0], &[])?).0)
    }
    async fn stat_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let object = self.directory(&fd)?;
        Ok(stat_of(&ask(self.host, Function::FileStatAt, [object, flags.contains(PathFlags::SYMLINK_FOLLOW).into(), 0, 0], path.as_bytes())?).0)
    }
    async fn set_times_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let object = self.directory(&fd)?;
        let ((a, accessed), (m, modified)) = (time_of(accessed)?, time_of(modified)?);
        let follow = u64::from(flags.contains(PathFlags::SYMLINK_FOLLOW)) << 4;
        ask(self.host, Function::FileSetTimesAt, [object, a | m << 2 | follow, accessed, modified], path.as_bytes()).map(|_| ())
    }
    async fn link_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, from: String, to_fd: Resource<Descriptor>, to: String) -> FsResult<()> {
        if flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let (object, target) = (self.directory(&fd)?, self.directory(&to_fd)?);
        ask(self.host, Function::FileLink, [object, target, 0, 0], &two(&from, &to)).map(|_| ())
    }
    async fn open_at(&mut self, fd: Resource<Descriptor>, path_flags: PathFlags, path: String, open: OpenFlags, flags: DescriptorFlags) -> FsResult<Resource<Descriptor>> {
        let parent = self.node(&fd).map_err(FsError::trap)?;
        let object = self.directory(&fd)?;
        if flags.intersects(DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::DATA_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC) {
            return Err(ErrorCode::Unsupported.into());
        }
        let changes = open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY);
        if changes && !parent.flags.contains(DescriptorFlags::MUTATE_DIRECTORY) {
            return Err(ErrorCode::ReadOnly.into());
        }
        let how = [
            open.contains(OpenFlags::CREATE),
            open.contains(OpenFlags::DIRECTORY),
            open.contains(OpenFlags::EXCLUSIVE),
            open.contains(OpenFlags::TRUNCATE),
            flags.contains(DescriptorFlags::READ),
            flags.contains(DescriptorFlags::WRITE),
            path_flags.contains(PathFlags::SYMLINK_FOLLOW),
        ];
        let bits = how.iter().enumerate().fold(0, |bits, (at, on)| bits | u64::from(*on) << at);
        let answer = ask(self.host, Function::FileOpen, [object, bits, 0, 0], path.as_bytes())?;
        let node = self.table.push(Node { object: answer.x, is_directory: answer.y == 1, flags })?;
        Ok(Resource::new_own(node.rep()))
    }
    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        let node = self.table.delete(Resource::<Node>::new_own(fd.rep()))?;
        self.host.ask_or_end(Function::FileClose, [node.object, 0, 0, 0])?;
        Ok(())
    }
    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let object = self.directory(&fd)?;
        Ok(ask(self.host, Function::FileReadLink, [object, 0, 0, 0], path.as_bytes())?.text())
    }
    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let object = self.directory(&fd)?;
        ask(self.host, Function::FileRemoveDirectory, [object, 0, 0, 0], path.as_bytes()).map(|_| ())
    }
    async fn rename_at(&mut self, fd: Resource<Descriptor>, from: String, to_fd: Resource<Descriptor>, to: String) -> FsResult<()> {
        let (object, target) = (self.directory(&fd)?, self.directory(&to_fd)?);
        ask(self.host, Function::FileRename, [object, target, 0, 0], &two(&from, &to)).map(|_| ())
    }
    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        let object = self.directory(&fd)?;
        ask(self.host, Function::FileSymlink, [object, 0, 0, 0], &two(&target, &path)).map(|_| ())
    }
    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let object = self.directory(&fd)?;
        ask(self.host, Function::FileRemove, [object, 0, 0, 0], path.as_bytes()).map(|_| ())
    }
    fn read_via_stream(&mut self, fd: Resource<Descriptor>, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let object = self.file_for(&fd, DescriptorFlags::READ)?;
        let stream: DynInputStream = Box::new(FileInput { host: self.host, object, offset });
        Ok(self.table.push(stream)?)
    }
    fn write_via_stream(&mut self, fd: Resource<Descriptor>, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let object = self.file_for(&fd, DescriptorFlags::WRITE)?;
        let stream: DynOutputStream = Box::new(FileOutput { host: self.host, object, offset: Some(offset) });
        Ok(self.table.push(stream)?)
    }
    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let object = self.file_for(&fd, DescriptorFlags::WRITE)?;
        let stream: DynOutputStream = Box::new(FileOutput { host: self.host, object, offset: None });
        Ok(self.table.push(stream)?)
    }
    async fn is_same_object(&mut self, a: Resource<Descriptor>, b: Resource<Descriptor>) -> wasmtime::Result<bool> {
        let first = self.identity(&a)?;
        Ok(first.is_some() && first == self.identity(&b)?)
    }
    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        let node = self.node(&fd).map_err(FsError::trap)?;
        let answer = ask(self.host, Function::FileStat, [node.object, 0, 0, 0], &[])?;
        Ok(self.hash(&answer))
    }
    async fn metadata_hash_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let object = self.directory(&fd)?;
        let answer = ask(self.host, Function::FileStatAt, [object, flags.contains(PathFlags::SYMLINK_FOLLOW).into(), 0, 0], path.as_bytes())?;
        Ok(self.hash(&answer))
    }
}

impl types::HostDirectoryEntryStream for State {
    async fn read_directory_entry(&mut self, stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&Resource::<Listing>::new_borrow(stream.rep()))?;
        Ok(listing.0.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).pop_front())
    }
    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}

fn stream_error(error: FsError) -> StreamError {
    match error.downcast() {
        Ok(code) => StreamError::LastOperationFailed(Error::new(code)),
        Err(trap) => StreamError::Trap(trap),
    }
}

/// Reads on from a place in a file.
struct FileInput {
    host: Host,
    object: u64,
    offset: u64,
}

#[async_trait::async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let answer = ask(self.host, Function::FileRead, [self.object, self.offset, size.min(MOST_AT_ONCE) as u64, 0], &[]).map_err(stream_error)?;
        if answer.bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset += answer.bytes.len() as u64;
        Ok(answer.bytes.into())
    }
}

/// Writes on from a place in a file, or at its end.
struct FileOutput {
    host: Host,
    object: u64,
    offset: Option<u64>,
}

#[async_trait::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let answer = ask(self.host, Function::FileWrite, [self.object, self.offset.unwrap_or(u64::MAX), 0, 0], rest).map_err(stream_error)?;
            let written = usize::try_from(answer.x).unwrap_or(0).min(rest.len());
            if written == 0 {
                return Err(ended());
            }
            if let Some(offset) = &mut self.offset {
                *offset += written as u64;
            }
            rest = &rest[written..];
        }
        Ok(())
    }
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_AT_ONCE)
    }
}
