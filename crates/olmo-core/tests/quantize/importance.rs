//! What matters in a model: importance of a text, and of llama.cpp's files.

use super::*;

#[test]
fn importance_is_the_mean_square_of_the_input() {
    let reference = Reference::read("tiny-mha-f32/reference.safetensors");
    let source = ModelSource::open(&golden("tiny-mha-f32")).unwrap();
    let ids = reference.ids("p128.ids");
    let found = of_ids(&ids, &source, Some(2), &mut |_| Ok(())).unwrap();
    // What enters attention is the residual stream, which transformers gives after each layer.
    let hidden = reference.get("p128.hidden");
    for (layer, rows) in hidden.chunks(128 * 64).take(2).enumerate() {
        let mut means = vec![0.0; 64];
        for row in rows.chunks(64) {
            for (mean, x) in means.iter_mut().zip(row) {
                *mean += x * x / 128.0;
            }
        }
        let largest = means.iter().fold(0.0, |largest: f32, &x| largest.max(x));
        for projection in ["q_proj", "k_proj", "v_proj"] {
            let name = format!("model.layers.{layer}.self_attn.{projection}.weight");
            let difference = max_difference(found.of(&name).unwrap(), &means);
            assert!(difference <= 1e-4 * largest, "{name}: {difference}");
        }
        for (name, columns) in [
            ("self_attn.o_proj", 64),
            ("mlp.gate_proj", 64),
            ("mlp.up_proj", 64),
            ("mlp.down_proj", 176),
        ] {
            let means = found.of(&format!("model.layers.{layer}.{name}.weight")).unwrap();
            assert_eq!(means.len(), columns);
            assert!(means.iter().all(|&mean| mean > 0.0));
        }
    }
    assert_eq!(found.of("lm_head.weight"), None);
    assert_eq!(found.of("model.embed_tokens.weight"), None);
}

#[test]
fn importance_of_a_text_changes_blocks() {
    let wide = wide_model(|_, _| ());
    let text = wide.path().join("text.txt");
    fs::write(&text, "The quick brown fox jumps over the lazy dog. ".repeat(40)).unwrap();
    let target = Precision::Mix(Scheme::Q4KM);
    let (plain, important) = (wide.path().join("plain.gguf"), wide.path().join("important.gguf"));
    run(wide.path(), &plain, target).unwrap();
    let options = Options {
        model: wide.path().to_owned(),
        out: important.clone(),
        target,
        importance: Some(text.clone()),
        threads: Some(2),
    };
    let mut tokens = 0;
    quantize(&options, &mut |progress| {
        if let Progress::Text { done, total } = progress {
            tokens = done;
            assert!(done <= total);
        }
        Ok(())
    })
    .unwrap();
    assert!(tokens > 0);

    let source = ModelSource::open(wide.path()).unwrap();
    let weights = of_file(&text, &source, Some(1), &mut |_| Ok(())).unwrap();
    let checkpoint = Checkpoint::open(wide.path()).unwrap();
    let open = |file: &Path| Checkpoint::of_gguf(&Gguf::open(file).unwrap()).unwrap();
    let (plain, important) = (open(&plain), open(&important));
    for (name, shape) in weight_shapes(&source.config().unwrap()) {
        let original = checkpoint.get(&name).unwrap().to_f32();
        let (plain, important) = (plain.get(&name).unwrap(), important.get(&name).unwrap());
        let Some(weights) = weights.of(&name) else {
            assert_eq!(plain.bytes(), important.bytes(), "{name}");
            continue;
        };
        let error = |tensor: &TensorData| -> f64 {
            let columns = *shape.last().unwrap();
            let square = |(i, (&x, q)): (usize, (&f32, f32))| {
                f64::from(weights[i % columns]) * f64::from(x - q).powi(2)
            };
            original.iter().zip(tensor.to_f32()).enumerate().map(square).sum()
        };
        assert!(error(important) < error(plain), "{name}");
    }
}

/// A file as `llama-imatrix` writes it.
fn imatrix(path: &Path, tensors: &[(&str, Vec<f32>)]) {
    let mut metadata = Metadata::default();
    metadata.set("general.type", Value::String("imatrix".into()));
    let announced: Vec<NewTensor> = tensors
        .iter()
        .map(|(name, values)| NewTensor {
            name: (*name).to_owned(),
            dtype: TensorType::Float(DType::F32),
            shape: vec![1, values.len()],
        })
        .collect();
    let mut writer = GgufWriter::create(path, &metadata, &announced).unwrap();
    for (name, values) in tensors {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        writer.write(name, &bytes).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn importance_is_read_from_llama_imatrix() {
    let dir = TempDir::new();
    let file = dir.path().join("imatrix.gguf");
    let source = ModelSource::open(&golden("tiny-mha-f32")).unwrap();
    let own = names::from_hugging_face("model.layers.1.mlp.down_proj.weight").unwrap();
    let (sums, counts) = (format!("{own}.in_sum2"), format!("{own}.counts"));
    let read = |tensors: &[(&str, Vec<f32>)]| {
        imatrix(&file, tensors);
        of_file(&file, &source, None, &mut |_| Ok(()))
    };
    let values: Vec<f32> = (0..176).map(|i| i as f32).collect();
    let found = read(&[(&sums, values.clone()), (&counts, vec![4.0])]).unwrap();
    let means: Vec<f32> = values.iter().map(|sum| sum / 4.0).collect();
    assert_eq!(found.of("model.layers.1.mlp.down_proj.weight"), Some(means.as_slice()));
    assert_eq!(found.of("model.layers.0.mlp.down_proj.weight"), None);

    for (tensors, code) in [
        (vec![(sums.as_str(), vec![1.0; 100]), (counts.as_str(), vec![4.0])], "INVALID_WEIGHTS"),
        (vec![(&sums, vec![1.0; 176]), (&counts, vec![0.0])], "INVALID_WEIGHTS"),
        (vec![(&sums, vec![-1.0; 176]), (&counts, vec![1.0])], "INVALID_WEIGHTS"),
        (vec![(&sums, vec![f32::NAN; 176]), (&counts, vec![1.0])], "INVALID_WEIGHTS"),
        (vec![("blk.9.attn_q.weight.in_sum2", vec![1.0; 64])], "INVALID_FILE"),
    ] {
        assert_eq!(read(&tensors).unwrap_err().code(), code);
    }
    for (sum, count, expected) in [
        (0.0, 4.0, "in_sum2` is all zeros: by it no weight would matter"),
        (1.0, 0.0, "counts` is 0, but a number of rows above 0 is needed"),
        (1.0, -3.0, "counts` is -3, but a number of rows above 0 is needed"),
        (1.0, f32::NAN, "counts` is NaN, but a number of rows above 0 is needed"),
        (1.0, f32::INFINITY, "counts` is inf, but a number of rows above 0 is needed"),
        (1.0, 1e-30, "in_sum2` holds numbers that are no mean squares"),
    ] {
        let error = read(&[(&sums, vec![sum; 176]), (&counts, vec![count])]).unwrap_err();
        assert_eq!(error.code(), "INVALID_WEIGHTS");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut some = vec![0.0; 176];
    some[3] = 1.0;
    assert!(read(&[(&sums, some), (&counts, vec![1.0])]).is_ok());
}

#[test]
fn a_text_without_text_is_an_error() {
    let dir = TempDir::new();
    let source = ModelSource::open(&golden("tiny-mha-f32")).unwrap();
    let file = dir.path().join("text.txt");
    let read = || of_file(&file, &source, None, &mut |_| Ok(())).unwrap_err().code();
    assert_eq!(read(), "IO");
    fs::write(&file, "").unwrap();
    assert_eq!(read(), "INVALID_FILE");
    fs::write(&file, [0xff, 0xfe, 0x00, 0x80, 0x80]).unwrap();
    assert_eq!(read(), "INVALID_FILE");
}
