fn main() {
    napi_build::setup();
    // What a release exports. GNU's linker takes no such list beside that of rustc, LLVM's and zig's do.
    println!("cargo:rerun-if-env-changed=OLMO2_EXPORTS");
    if let Ok(list) = std::env::var("OLMO2_EXPORTS") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--version-script={list}");
    }
}
