//! A disk of a server's own: ext4 on a loop device, so that it can be full, stall, and lose what was not synced.

use std::path::{Path, PathBuf};

use crate::shell::run;

/// How large it is; the file is sparse.
const SIZE_MB: u64 = 192;

/// A mounted disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

/// The file of the disk that is mounted there.
pub fn image(mount: &Path) -> PathBuf {
    mount.with_extension("img")
}

/// Tells a mounted ext4 to stop at once, without writing out its journal: what `xfs_io -x -c shutdown` does. The call
/// is `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. In Python, because it takes an `ioctl`, and this
/// workspace has no unsafe code.
const POWER_OFF: &str = "import fcntl,os,struct,sys;\
    fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack('I',2))";

impl Disk {
    /// Makes and mounts one at `mount`, its image beside.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn make(mount: &Path) -> Result<Disk, String> {
        let disk = Disk { image: image(mount), mount: mount.to_path_buf() };
        let say = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let image = std::fs::File::create(&disk.image).map_err(|error| say(&disk.image, error))?;
        image.set_len(SIZE_MB << 20).map_err(|error| say(&disk.image, error))?;
        run(&format!("mkfs.ext4 -q {}", disk.image.display())).await?;
        std::fs::create_dir_all(mount).map_err(|error| say(mount, error))?;
        disk.attach().await?;
        Ok(disk)
    }

    /// Mounts it; the journal is replayed as after a crash. With `loop` the device goes with the mount.
    async fn attach(&self) -> Result<(), String> {
        run(&format!("mount -o loop {} {}", self.image.display(), self.mount.display())).await.map(drop)
    }

    /// Writes everything out.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn sync(&self) -> Result<(), String> {
        run(&format!("sync --file-system {}", self.mount.display())).await.map(drop)
    }

    /// The power fails: from this moment nothing reaches the disk any more, and what was written and not synced is not
    /// on it. (What the kernel happened to write back by itself is: as on a real disk, the loss is of the last seconds.)
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn power_off(&self) -> Result<(), String> {
        let mount = self.mount.display().to_string();
        let done = tokio::process::Command::new("python3").args(["-c", POWER_OFF, &mount]).output().await;
        match done {
            Ok(done) if done.status.success() => Ok(()),
            Ok(done) => {
                Err(format!("power off of {mount}: {}", String::from_utf8_lossy(&done.stderr).trim()))
            }
            Err(error) => Err(format!("python3: {error}")),
        }
    }

    /// The power is back: mounts what is left. Nobody may have a file open in there.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn power_on(&self) -> Result<(), String> {
        run(&format!("umount {}", self.mount.display())).await?;
        self.attach().await
    }

    /// Fills it up but for some kilobytes.
    ///
    /// # Errors
    /// If the file cannot be made at all.
    pub async fn fill(&self) -> Result<(), String> {
        let ballast = self.mount.join("ballast");
        // It ends with "no space left", which is what is wanted.
        let _ = run(&format!("dd if=/dev/zero of={} bs=1M status=none", ballast.display())).await;
        if ballast.is_file() { Ok(()) } else { Err(format!("{} cannot be made", ballast.display())) }
    }

    /// Makes room again.
    pub fn empty(&self) {
        // Not there: then there is room.
        let _ = std::fs::remove_file(self.mount.join("ballast"));
    }

    /// Every write waits from now on.
    ///
    /// # Errors
    /// With the command that failed.
    pub async fn stall(&self) -> Result<(), String> {
        run(&format!("fsfreeze --freeze {}", self.mount.display())).await.map(drop)
    }

    /// Writes go on.
    pub async fn resume(&self) {
        // Not stalled: then they go on.
        let _ = run(&format!("fsfreeze --unfreeze {}", self.mount.display())).await;
    }

    /// Takes the image away at the end of a run; the mount goes with the enclosure.
    pub async fn discard(&self) {
        let _ = run(&format!("umount --lazy {}", self.mount.display())).await;
        let _ = std::fs::remove_file(&self.image);
    }
}
