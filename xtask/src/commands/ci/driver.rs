//! Whether this machine has a Vulkan driver, which wgpu needs on Linux. Asked before minutes go into a build that could not run.

use std::path::{Path, PathBuf};

/// The loader, under the name that wgpu opens.
const LOADER: &str = "libvulkan.so.1";
/// Folders of shared libraries; those of an architecture lie in folders within them.
const LIBRARIES: [&str; 6] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/lib", "/lib64"];
/// Folders in which drivers are announced to the loader, each by a JSON file.
const ANNOUNCED: [&str; 3] = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
/// Variables that name such files themselves.
const NAMED: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

/// What is missing, and where it was looked for; `None` where everything is there, and on systems that bring their own graphics interface.
pub(super) fn missing() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    missing_among(
        &loader_folders(),
        &ANNOUNCED.map(PathBuf::from),
        NAMED.iter().any(|name| std::env::var_os(name).is_some()),
    )
}

fn loader_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths).collect();
    for folder in LIBRARIES.map(PathBuf::from) {
        let within = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        folders.extend(within.filter(|path| path.is_dir()));
        folders.push(folder);
    }
    folders
}

fn missing_among(loaders: &[PathBuf], announced: &[PathBuf], named: bool) -> Option<String> {
    let advice = "install a driver, for example Debian's mesa-vulkan-drivers and libvulkan1 for a software device";
    if !loaders.iter().any(|folder| folder.join(LOADER).exists()) {
        return Some(format!("no Vulkan loader ({LOADER}); {advice}"));
    }
    let json = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
    let holds_one =
        |folder: &PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| json(&entry.path()));
    if named || announced.iter().any(holds_one) {
        return None;
    }
    let places: Vec<_> = announced.iter().map(|folder| folder.display().to_string()).collect();
    Some(format!("no Vulkan driver in {} or named by {}; {advice}", places.join(", "), NAMED.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folders = [place.path().to_path_buf()];
        let found = |named| missing_among(&folders, &folders, named);
        assert!(found(true).unwrap().contains(LOADER));
        std::fs::write(place.path().join(LOADER), "").unwrap();
        let driver = found(false).unwrap();
        assert!(driver.contains("VK_DRIVER_FILES") && driver.contains(&place.path().display().to_string()), "{driver}");
        assert_eq!(found(true), None);
        std::fs::write(place.path().join("lvp_icd.x86_64.json"), "{}").unwrap();
        assert_eq!(found(false), None);
    }
}
