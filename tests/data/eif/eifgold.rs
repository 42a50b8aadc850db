//! Makes the golden EIFs of this folder with AWS's crate, and tells what AWS's reader finds in any.
//!
//!     eifgold write KERNEL CMDLINE OUT METADATA-OUT KEY CERTIFICATE RAMDISK...   ("-" "-": unsigned)
//!     eifgold read IMAGE

use aws_nitro_enclaves_image_format::defs::{EifBuildInfo, EifIdentityInfo};
use aws_nitro_enclaves_image_format::utils::eif_reader::EifReader;
use aws_nitro_enclaves_image_format::utils::{EifBuilder, SignKeyData};
use sha2::{Digest, Sha384};
use std::fs::{self, File};
use std::path::Path;

fn write(arguments: &[String]) {
    let info = EifIdentityInfo {
        img_name: "golden".into(),
        img_version: "1".into(),
        build_info: EifBuildInfo {
            build_time: "1970-01-01T00:00:00+00:00".into(),
            build_tool: "eifgold".into(),
            build_tool_version: "0.1.0".into(),
            img_os: "Linux".into(),
            img_kernel: "6.1".into(),
        },
        docker_info: serde_json::json!({"RepoTags": ["golden:1"]}),
        custom_info: serde_json::json!({"note": "a dummy"}),
    };
    fs::write(&arguments[3], serde_json::to_vec(&info).unwrap()).unwrap();
    let key = (arguments[4] != "-")
        .then(|| SignKeyData::new(&arguments[4], Path::new(&arguments[5])).unwrap());
    let mut builder = EifBuilder::new(
        Path::new(&arguments[0]),
        arguments[1].clone(),
        key,
        Sha384::new(),
        0,
        info,
    );
    for ramdisk in &arguments[6..] {
        builder.add_ramdisk(Path::new(ramdisk));
    }
    builder.write_to(&mut File::create(&arguments[2]).unwrap());
}

fn read(image: &str) {
    let mut reader = EifReader::from_eif(image.into()).unwrap();
    assert!(reader.check_crc());
    let mut measurements = reader.get_measurements().unwrap();
    measurements.remove("HashAlgorithm");
    println!("{}", serde_json::to_string(&measurements).unwrap());
    if reader.signature_section.is_some() {
        let mut again = EifReader::from_eif(image.into()).unwrap();
        let found = again.get_measurements().unwrap();
        again.get_certificate_info(found).unwrap();
        eprintln!("signature: {:?}", again.sign_check);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments[0].as_str() {
        "write" => write(&arguments[1..]),
        "read" => read(&arguments[1]),
        other => panic!("{other}"),
    }
}
