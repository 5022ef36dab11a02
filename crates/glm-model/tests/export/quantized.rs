use super::support::{assert_same_bytes, names, quiet, source};
use glm_model::export::{FolderOptions, export_folder, export_quantized};
use glm_model::{DenseType, GlmConfig, LoadOptions, Network};
use glm_testkit::fixture;

#[test]
fn the_official_folders_come_out_bit_for_bit() {
    for variant in ["glm1-tiny", "glm2-tiny"] {
        let model = fixture(&format!("{variant}/model"));
        for bits in [4, 8] {
            let official = fixture(&format!("{variant}/quant-int{bits}"));
            let room = tempfile::tempdir().unwrap();
            let target = room.path().join("out");
            let source = source(&format!("{variant}/model"));
            let report = export_quantized(&source, bits, &model, &target, &mut quiet).unwrap();
            assert!(report.remarks.iter().any(|remark| remark.contains("quantization.py")), "{:?}", report.remarks);
            assert_same_bytes(&target, &official);
            assert_eq!(GlmConfig::read(&target).unwrap().raw, GlmConfig::read(&official).unwrap().raw);
            assert!(names(&target).contains(&"pytorch_model.bin".to_string()));
            Network::load(&target, LoadOptions::default(), &mut |_, _| {}).unwrap();
        }
    }
}

#[test]
fn a_quantized_folder_can_be_quantized_again_and_made_dense() {
    let source4 = source("glm2-tiny/quant-int4");
    let path = fixture("glm2-tiny/quant-int4");
    let room = tempfile::tempdir().unwrap();
    export_quantized(&source4, 4, &path, &room.path().join("same"), &mut quiet).unwrap();
    assert_same_bytes(&room.path().join("same"), &path);
    export_quantized(&source4, 8, &path, &room.path().join("wider"), &mut quiet).unwrap();
    assert_eq!(GlmConfig::read(&room.path().join("wider")).unwrap().quantization_bit, Some(8));
    let options = FolderOptions { dtype: Some(DenseType::F16), ..FolderOptions::default() };
    export_folder(&source4, &path, &room.path().join("dense"), options, &mut quiet).unwrap();
    assert_eq!(GlmConfig::read(&room.path().join("dense")).unwrap().quantization_bit, None);
    let error = export_quantized(&source4, 3, &path, &room.path().join("no"), &mut quiet).unwrap_err().to_string();
    assert!(error.contains("3 bits"), "{error}");
}
