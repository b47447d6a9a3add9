//! Other users, to whom a daemon must say no.

/// A user by number; this host need not know it by name.
#[derive(Clone, Debug)]
pub struct User {
    uid: u32,
    groups: Vec<u32>,
}

impl User {
    /// The user `uid` with the group of the same number, and no others.
    ///
    /// # Panics
    /// If this process is not root's: nobody else can be somebody else.
    pub fn new(uid: u32) -> User {
        assert!(
            rustix::process::getuid().is_root(),
            "this test runs programs as other users, which takes root: run it as root, in a container or by \
             `sudo -E env PATH=$PATH cargo test …`"
        );
        User { uid, groups: Vec::new() }
    }

    /// Also in the group `gid`.
    pub fn in_group(mut self, gid: u32) -> User {
        self.groups.push(gid);
        self
    }

    /// Its number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The beginning of a command line that runs the rest of it as this user.
    pub(crate) fn setpriv(&self) -> Vec<String> {
        let groups: Vec<_> = self.groups.iter().map(u32::to_string).collect();
        let groups = if groups.is_empty() {
            "--clear-groups".to_owned()
        } else {
            format!("--groups={}", groups.join(","))
        };
        vec![format!("--reuid={}", self.uid), format!("--regid={}", self.uid), groups, "--".to_owned()]
    }
}
