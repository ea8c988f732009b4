//! A listening socket with a path.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The file of a listening socket; it goes with this, unless another server has taken its place.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Device and number of the file.
    own: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.own) {
            let _ = fs::remove_file(&self.path); // what is left behind is replaced by the next start
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Listens at a path with these permissions, in place of a socket that nobody listens at any more.
pub(super) fn bind(path: &Path, mode: u32, backlog: i32) -> io::Result<(UnixListener, Place)> {
    make_way(path)?;
    // Nobody can reach it before it has its permissions: it gets its name last.
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new); // of a process with this number that did not get to the end
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&new)?)?;
    let placed = fs::set_permissions(&new, fs::Permissions::from_mode(mode))
        .and_then(|()| socket.listen(backlog))
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| identity(path));
    match placed {
        Ok(own) => Ok((socket.into(), Place { path: path.to_owned(), own })),
        Err(error) => {
            let _ = fs::remove_file(&new);
            Err(error)
        }
    }
}

/// Fails when what is at the path must not be replaced.
fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            let text = "a file that is no socket is in the way: remove it, or choose another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full says so at once.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(in_use()),
        Err(error) => Err(error),
        Ok(()) => Err(in_use()),
    }
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another server listens there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_has_its_permissions_and_goes_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (listener, place) = bind(&path, 0o640, 1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop((listener, place));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap()); // leaves its file behind, as a crash does
        let (live, place) = bind(&path, 0o600, 1).unwrap();
        let error = bind(&path, 0o600, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        drop(live);
        let (_next, _next_place) = bind(&path, 0o600, 1).unwrap();
        drop(place);
        assert!(path.exists(), "it is another server's now");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, 0o600, 1).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
