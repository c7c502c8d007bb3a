"""The table of the names of Keras that pyrnn does not have, with the reason and what to use instead.

Each entry is (names, reason, what to use instead), below its owners: modules below `pyrnn` (`pyrnn` itself first), or
kinds of objects (model, layer, cell, optimizer, loss, metric, callback, weight). Names and owners are separated by
spaces; "*" is every name that Keras may have there. `explaining` raises the errors; docs/guide/keras.md shows the rows.
"""

from __future__ import annotations

_IMAGES = "it works on images or volumes, and arrays here are series of shape (batch, time, features)"
_AUGMENT = "it changes images, and arrays here are series of shape (batch, time, features)"
_PRECISION = "weights are float32 or float64"
_SYMBOLIC = "only Input and the calls of layers make symbols"
_OF_KERAS = "it is internal to Keras"
_LOOP = "fit, evaluate and predict run their own loop"
_FILES = "files are written and read whole"
_CELL_ARGUMENT = "cells keep their arguments in their config"
_GRADIENTS = "the model writes all gradients into one vector, which the optimizer updates in place"
_ENCODE = "layers take numbers"
_DROPPED = "Keras dropped it"
_THREADS = "leave it out, or set the threads with pyrnn.set_num_threads(n)"

FAMILIES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pyrnn": (
        ("DTypePolicy FloatDTypePolicy dtype_policies mixed_precision", f"{_PRECISION}, as are all computations",
         "pass dtype='float64' to a layer or call pyrnn.config.set_floatx('float64')"),
        ("Quantizer quantizers", _PRECISION, "leave it out"),
        ("KerasTensor Operation Function SymbolicScope", _SYMBOLIC, "make a Model(inputs, outputs) of them"),
        ("StatelessScope", "layers hold their weights", "use get_weights() and set_weights()"),
        ("name_scope", "names of layers have no prefix", "name layers with name="),
        ("device", "everything runs on the CPU", _THREADS),
        ("remat RematScope", "layers decide what they save for backward",
         "pass checkpoint_steps=k to LSTM, GRU, SimpleRNN or RNN"),
        ("version", "it is an attribute", "use pyrnn.__version__"),
        ("applications", "they are models of images", "use Keras for them, and pyrnn on the features they return"),
        ("tree", "nested lists, tuples and dicts are Python's", "write the loop"),
        ("distribution", "pyrnn.distributed splits batches over processes",
         "call pyrnn.distributed.initialize() in a script that mpirun starts"),
        ("distillation", "it is not implemented", "train the student on teacher.predict(x) as y"),
        ("visualization", _AUGMENT, "plot series with matplotlib"),
        ("legacy src engine", _OF_KERAS, "use pyrnn.layers and pyrnn.models"),
        ("estimator experimental feature_column premade_models", _DROPPED, "use Sequential"),
    ),
    "layers": (
        ("Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution2D Convolution2DTranspose Convolution3D "
         "Convolution3DTranspose DepthwiseConv2D SeparableConv2D SeparableConvolution2D Cropping2D Cropping3D "
         "SpatialDropout2D SpatialDropout3D UpSampling2D UpSampling3D ZeroPadding2D ZeroPadding3D AveragePooling2D "
         "AveragePooling3D AvgPool2D AvgPool3D MaxPool2D MaxPool3D MaxPooling2D MaxPooling3D "
         "GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool2D "
         "GlobalMaxPool3D GlobalMaxPooling2D GlobalMaxPooling3D AdaptiveAveragePooling2D AdaptiveAveragePooling3D "
         "AdaptiveMaxPooling2D AdaptiveMaxPooling3D Deconvolution2D Deconvolution3D AtrousConvolution2D "
         "LocallyConnected2D", _IMAGES,
         "use the 1D layer of that name along time, on frames that Reshape turns into vectors of features"),
        ("ConvLSTM2D ConvLSTM3D ConvRecurrent2D ConvLSTM2DCell",
         "convolutions over images inside the recurrence are not implemented",
         "use ConvLSTM1D, or LSTM on frames that Reshape turns into vectors of features"),
        ("AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization "
         "MaxNumBoundingBoxes MixUp Pipeline RandAugment RandomBrightness RandomColorDegeneration "
         "RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip "
         "RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective "
         "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation "
         "RandomWidth RandomZoom Resizing Solarization", _AUGMENT,
         "use GaussianNoise or Dropout, or change the series in a PyDataset"),
        ("MelSpectrogram STFTSpectrogram", "it works on sound",
         "compute the spectrogram first, with scipy.signal.stft, and train on its frames"),
        ("Merge merge", _DROPPED, "use Add, Average, Concatenate, Dot, Maximum or Multiply"),
        ("GroupQueryAttention", "heads do not share keys and values", "use MultiHeadAttention"),
        ("ReversibleEmbedding", "layers do not share weights with other layers",
         "use Embedding and, as the last layer, Dense(input_dim, 'softmax')"),
        ("CategoryEncoding", _ENCODE, "use pyrnn.utils.to_categorical before fit"),
        ("Discretization", _ENCODE, "use np.digitize before fit"),
        ("Hashing HashedCrossing", _ENCODE, "use pyrnn.preprocessing.text.hashing_trick before fit"),
        ("IntegerLookup StringLookup", _ENCODE, "use np.unique(x, return_inverse=True) before fit"),
        ("TextVectorization", _ENCODE, "use pyrnn.preprocessing.text.Tokenizer and pyrnn.utils.pad_sequences"),
        ("DenseFeatures", _ENCODE, "join the columns to one array with np.column_stack"),
        ("SpectralNormalization", "it is not implemented", "pass kernel_constraint='max_norm' to the layer"),
        ("FlaxLayer JaxLayer TFSMLayer", "it runs code of another framework",
         "subclass Layer, with forward and backward in NumPy"),
        ("TorchModuleWrapper", "it runs code of another framework", "use pyrnn.interop.from_torch(module)"),
        ("CuDNNLSTM", "it ran on GPUs, and Keras dropped it", "use LSTM"),
        ("CuDNNGRU", "it ran on GPUs, and Keras dropped it", "use GRU"),
        ("ThresholdedReLU", _DROPPED, "use ReLU(threshold=theta)"),
        ("LocallyConnected1D", _DROPPED, "use Conv1D"),
        ("SyncBatchNormalization", "training runs in one process", "use BatchNormalization"),
        ("AbstractRNNCell", "RNN runs the cells that the kernel knows", "use one of them, such as LSTMCell"),
        ("TimeDistributedDense", _DROPPED, "use Dense, which works on every time step"),
        ("AtrousConvolution1D", _DROPPED, "use Conv1D(dilation_rate=...)"),
        ("Highway MaxoutDense", _DROPPED, "use Dense"),
        ("SReLU ParametricSoftplus", _DROPPED, "use PReLU or Activation('softplus')"),
        ("experimental", "its layers are in pyrnn.layers", "use layers.Normalization and layers.Rescaling"),
    ),
    "losses": (
        ("CTC ctc", "losses over alignments are not implemented",
         "label every step, with SparseCategoricalCrossentropy"),
        ("Reduction", "reductions are strings", "pass reduction='sum', 'mean' or 'none'"),
    ),
    "losses metrics": (
        ("cosine_proximity CosineProximity", "Keras renamed it", "use CosineSimilarity"),
    ),
    "metrics": (
        ("MeanRelativeError", _DROPPED, "use MeanAbsolutePercentageError"),
        ("MeanTensor", _DROPPED, "subclass Metric"),
    ),
    "optimizers": (
        ("LossScaleOptimizer", f"{_PRECISION}, whose gradients need no scaling", "pass the inner optimizer"),
        ("MultiOptimizer OptimizerMap", "one optimizer trains all weights", "freeze layers with trainable=False"),
        ("legacy experimental", "its optimizers are in pyrnn.optimizers", "use optimizers.Adam and the like"),
        ("adam_v2 adagrad_v2 adadelta_v2 adamax_v2 ftrl_v2 gradient_descent_v2 nadam_v2 rmsprop_v2 optimizer_v1 "
         "optimizer_v2 TFOptimizer", _OF_KERAS, "use optimizers.Adam and the like"),
    ),
    "callbacks": (
        ("OrbaxCheckpoint", "it writes files of JAX", "use ModelCheckpoint or BackupAndRestore"),
        ("BaseLogger", "fit averages the metrics itself", "use History, which fit returns"),
        ("experimental", "its callbacks are in pyrnn.callbacks", "use callbacks.BackupAndRestore"),
    ),
    "initializers": (
        ("STFT STFTInitializer stft", "it works on sound", "compute the spectrogram first, with scipy.signal.stft"),
        ("uniform normal one zero", _DROPPED, "use random_uniform, random_normal, ones or zeros"),
    ),
    "regularizers": (
        ("l1l2", "Keras renamed it", "use l1_l2"),
    ),
    "constraints": (
        ("RadialConstraint radial_constraint", _DROPPED, "use MaxNorm(axis=...)"),
        ("maxnorm nonneg unitnorm", "Keras renamed it", "use max_norm, non_neg or unit_norm"),
    ),
    "ops": (
        ("image linalg nn numpy", "there is one list of operations", "use pyrnn.ops.NAME"),
        ("adaptive_average_pool adaptive_max_pool affine_transform allclose angle append argpartition "
         "array_split associative_scan average average_pool bartlett batch_normalization bincount bitwise_and "
         "bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman "
         "cdist cholesky cholesky_inverse cond conj conjugate conv conv_transpose copy "
         "corrcoef correlate count_nonzero crop_images cross ctc_decode ctc_loss custom_gradient "
         "depth_to_space depthwise_conv det diag diagflat digitize dot_product_attention dsplit dstack dtype "
         "eig eigh elastic_transform empty empty_like erfc erfinv extract_patches extract_patches_3d "
         "extract_sequences fabs fft fft2 fliplr flipud fmax fmin fmod fold fori_loop gaussian_blur gcd "
         "geomspace hamming hanning heaviside histogram hsplit hsv_to_rgb hypot i0 identity ifft2 imag "
         "in_top_k inv irfft is_tensor isin isneginf isposinf isreal istft jvp kaiser kron layer_normalization "
         "lcm ldexp left_shift logaddexp2 logdet logspace lstsq lu_factor map map_coordinates matrix_rank "
         "max_pool median meshgrid multi_hot nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax "
         "nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar nextafter nonzero "
         "pad_images percentile perspective_transform pinv polar psnr ptp qr quantile real rearrange resize "
         "rfft rgb_to_grayscale rgb_to_hsv right_shift rms_normalization rot90 saturate_cast "
         "scale_and_translate scan scatter scatter_update searchsorted segment_max segment_min segment_prod "
         "segment_sum select separable_conv signbit slogdet sobel_edges solve solve_triangular space_to_depth "
         "ssim stft svd switch trace trapezoid tri unfold unique unravel_index vander vdot vectorize "
         "vectorized_map view view_as_complex view_as_real vsplit while_loop",
         "pyrnn does not have the operation",
         "use NumPy on arrays, or write a layer with forward and backward"),
    ),
    "models": (
        ("Graph", "Keras dropped it", "use Model(inputs, outputs)"),
        ("model_from_yaml", _DROPPED, "use model_from_json"),
        ("model_from_config", _DROPPED, "use Sequential.from_config"),
    ),
    "saving": (
        ("KerasFileEditor", "it is not implemented", "open the .weights.h5 file with h5py"),
    ),
    "export": (
        ("ExportArchive", "it writes TensorFlow's SavedModel", "use to_onnx(model, path) or to_c(model, folder)"),
    ),
    "preprocessing": (
        ("image image_dataset_from_directory", _IMAGES, "use timeseries_dataset_from_array, PyDataset or a generator"),
    ),
    "preprocessing utils": (
        ("text_dataset_from_directory", "it gives tf.data datasets", "read the files, then use Tokenizer"),
    ),
    "preprocessing.sequence": (
        ("make_sampling_table skipgrams", "it is not implemented", "train an Embedding within the model that uses it"),
    ),
    "datasets": (
        ("boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist reuters", "nothing is downloaded",
         "get the data from their source, or use datasets.load_flights()"),
    ),
    "config": (
        ("disable_flash_attention enable_flash_attention is_flash_attention_enabled",
         "attention always computes its weights", "leave it out"),
        ("disable_traceback_filtering enable_traceback_filtering is_traceback_filtering_enabled",
         "tracebacks are always complete", "leave it out"),
        ("dtype_policy set_dtype_policy", _PRECISION, "use floatx and set_floatx"),
        ("enable_unsafe_deserialization", "code in files never runs", "pass custom_objects to load_model"),
        ("is_nnx_enabled", "it belongs to JAX", "leave it out"),
        ("max_epochs max_steps_per_epoch set_max_epochs set_max_steps_per_epoch", "nothing limits fit from outside",
         "pass epochs and steps_per_epoch to fit"),
        ("set_backend", "the kernel is the backend", "use pyrnn.backend.use_backend('reference') for plain NumPy"),
        ("set_epsilon", "it is 1e-7 everywhere", "pass epsilon to the optimizer or the layer"),
    ),
    "utils": (
        ("Config", "it is not implemented", "use a dict or a dataclass"),
        ("FeatureSpace", _ENCODE, "use pandas, or ColumnTransformer of scikit-learn"),
        ("Progbar", "fit prints its progress", "pass verbose=1 to fit, or use rich.progress"),
        ("array_to_img img_to_array load_img save_img image_dataset_from_directory bounding_boxes", _IMAGES,
         "read images with Pillow"),
        ("audio_dataset_from_directory", "it gives tf.data datasets", "read the files with scipy.io.wavfile"),
        ("get_file", "nothing is downloaded", "use urllib.request.urlretrieve"),
        ("get_source_inputs is_keras_tensor", _SYMBOLIC, "use model.inputs and model.layers"),
        ("model_to_dot", "there is no graphviz", "use plot_model or model.summary()"),
        ("standardize_dtype", "dtypes are NumPy's", "use np.dtype(dtype).name"),
        ("multi_gpu_model", "everything runs on the CPU", _THREADS),
        ("HDF5Matrix", _DROPPED, "pass h5py.File(path)['name'][...], or read batches in a PyDataset"),
        ("GeneratorEnqueuer OrderedEnqueuer SequenceEnqueuer", _OF_KERAS, "pass workers to a PyDataset"),
        ("SidecarEvaluator", "training runs in one process", "pass validation_data to fit"),
        ("print_summary", _DROPPED, "use model.summary()"),
        ("probas_to_classes", _DROPPED, "use model.predict(x).argmax(axis=-1)"),
        ("experimental np_utils data_utils generic_utils layer_utils conv_utils io_utils vis_utils tf_utils",
         _OF_KERAS, "import the function from pyrnn.utils"),
    ),
    "model": (
        ("export", "models run in Python",
         "use model.save(path), model.stream(), or pyrnn.export.to_c(model, folder) for C"),
        ("add_weight", "weights belong to layers and to models with call", "use it in one of these"),
        ("call compute_mask", "models run their layers in order", "call the model: model(x), model(x, training=True)"),
        ("make_train_function make_test_function make_predict_function train_function test_function predict_function "
         "train_tf_function", _LOOP,
         "use train_on_batch, test_on_batch and predict_on_batch, or a Callback"),
        ("stateless_compute_loss total_loss targets sample_weights", _LOOP,
         "use evaluate or test_on_batch, or compute_loss(x, y, model(x))"),
        ("compute_output_spec", _SYMBOLIC, "call it on an array, or use compute_output_shape(input_shape)"),
        ("state_updates", _FILES,
         "use get_weights and set_weights, or save and load_model"),
        ("jit_compile run_eagerly steps_per_execution distribute_strategy", "training always runs the kernel",
         "leave it out"),
        ("supports_masking", "each layer says so itself", "use layer.supports_masking"),
        ("to_yaml", _DROPPED, "use to_json"),
    ),
    "model layer": (
        ("quantize quantization_mode quantization_config quantized_build quantized_call "
         "get_quantization_layer_structure", _PRECISION, "leave it out"),
        ("add_metric", "metrics belong to compile", "pass metrics=[...] to compile"),
        ("add_variable add_update updates get_updates_for get_losses_for", _DROPPED,
         "use layer.add_weight(..., trainable=False)"),
        ("stateless_call symbolic_call rematerialized_call call_signature_parameters supports_jit",
         _SYMBOLIC, "call it on an array, or use compute_output_shape(input_shape)"),
        ("variable_serialization_spec save_spec", _FILES, "use model.save, model.save_weights and pyrnn.load_model"),
        ("input_mask output_mask input_tensor inbound_nodes outbound_nodes get_input_at get_output_at "
         "get_input_shape_at get_output_shape_at get_input_mask_at get_output_mask_at", _DROPPED,
         "use layer.nodes, layer.input and layer.output"),
        ("dtype_policy input_dtype autocast", _PRECISION, "use dtype"),
        ("path dynamic uses_learning_phase", _OF_KERAS, "use name, and weight.path of its weights"),
    ),
    "layer": (
        ("enable_lora lora_alpha lora_enabled lora_rank", "adapters (LoRA) are not implemented",
         "freeze layers with trainable=False"),
        ("gptq_unpacked_column_size", _PRECISION, "leave it out"),
        ("get_build_config build_from_config", _FILES, "use layer.build_shape and layer.build(input_shape)"),
        ("compile", "layers are not trained alone", "put the layer into a Sequential"),
        ("get_initial_state single_state state_size inner_loop", "recurrent layers run all steps at once",
         "use reset_state(), and pass initial_state when you call the layer"),
        ("convolution_op", "the kernel runs the convolution", "call the layer: layer(x)"),
        ("use_cudnn", "everything runs on the CPU", "leave it out"),
        ("synchronized", "training runs in one process", "leave it out"),
        ("seed_generator", "layers draw from their own stream", "use seed"),
        ("backend", "layers compute with NumPy and the kernel", "use NumPy"),
        ("finalize_state convert_weight", "adapt computes the mean and variance at once", "use adapt(data)"),
    ),
    "cell": (
        ("activation recurrent_activation use_bias unit_forget_bias kernel_initializer recurrent_initializer "
         "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
         "recurrent_constraint bias_constraint dropout recurrent_dropout seed implementation reset_after",
         _CELL_ARGUMENT, "use cell.get_config()[name]"),
        ("seed_generator get_dropout_mask get_recurrent_dropout_mask reset_dropout_mask "
         "reset_recurrent_dropout_mask", "the kernel draws the masks", "pass dropout and seed to the cell"),
    ),
    "optimizer": (
        ("stateless_apply minimize compute_gradients get_gradients get_updates "
         "assign assign_add assign_sub scale_loss", _GRADIENTS,
         "use fit or train_on_batch, or define update in a subclass"),
        ("add_variable add_variable_from_reference add_optimizer_variables add_slot get_slot", _GRADIENTS,
         "use slot_groups() in a subclass, optimizer.variables to read them"),
        ("lr_adjust transpose_last_axis zeropower_via_newtonschulz5", _OF_KERAS, "use the arguments of Muon"),
        ("weights load_own_variables save_own_variables", "it has variables",
         "use get_weights() and set_weights(values), or model.save"),
    ),
    "loss": (
        ("call fn", "losses return the gradient with the value",
         "call the loss, or value_and_gradient(y_true, y_pred)"),
        ("dtype", "losses take the dtype of y_pred", "convert y_pred"),
    ),
    "metric": (
        ("axis from_logits ignore_class label_smoothing thresholds",
         "metrics keep their arguments in their config", "use metric.get_config()[name]"),
        ("interpolate_pr_auc merge_state",
         "metrics hold their own state", "use update_state, result and reset_state"),
    ),
    "callback": (
        ("validation_data", _DROPPED, "pass the data to the callback"),
    ),
    "weight": (
        ("read_value eval", "weights are views of one vector",
         "use weight.numpy() for a copy, weight.array for the values themselves"),
        ("aggregation synchronization overwrite_with_gradient", "training runs in one process", "leave it out"),
    ),
    "backend": (
        ("abs all any arange argmax argmin batch_dot batch_flatten cast cast_to_floatx clip concatenate constant "
         "cos cumprod cumsum dot equal exp expand_dims eye flatten gather greater greater_equal less less_equal "
         "log max maximum mean min minimum ndim not_equal ones ones_like permute_dimensions pow prod repeat "
         "repeat_elements reshape reverse round sign sin sqrt square squeeze stack std sum switch tile transpose "
         "var zeros zeros_like int_shape shape dtype eval get_value to_dense is_sparse variable l2_normalize "
         "logsumexp", "losses, metrics and layers compute on NumPy arrays", "use NumPy: np.mean for K.mean"),
        ("random_bernoulli random_normal random_normal_variable random_uniform random_uniform_variable "
         "truncated_normal random_binomial dropout", "random numbers are NumPy's", "use np.random.default_rng(seed)"),
        ("elu hard_sigmoid relu sigmoid softmax softplus softsign tanh", "they are in pyrnn.activations",
         "use pyrnn.activations"),
        ("binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy "
         "sparse_categorical_crossentropy", "they are in pyrnn.losses", "use pyrnn.losses"),
        ("ctc_batch_cost ctc_decode ctc_label_dense_to_sparse", "losses over alignments are not implemented",
         "label every step, with SparseCategoricalCrossentropy"),
        ("one_hot", "it is in pyrnn.utils", "use pyrnn.utils.to_categorical"),
        ("in_top_k", "it is a metric", "use pyrnn.metrics.TopKCategoricalAccuracy"),
        ("count_params batch_get_value batch_set_value set_value", "models hold their weights",
         "use model.count_params(), get_weights and set_weights"),
        ("conv1d conv2d conv2d_transpose conv3d depthwise_conv2d separable_conv2d pool2d pool3d bias_add "
         "batch_normalization resize_images resize_volumes spatial_2d_padding spatial_3d_padding temporal_padding "
         "rnn local_conv1d local_conv2d", "operations belong to layers", "use pyrnn.layers"),
        ("gradients stop_gradient foldl foldr map_fn name_scope function placeholder update update_add update_sub "
         "moving_average_update learning_phase set_learning_phase learning_phase_scope get_session set_session "
         "get_uid is_keras_tensor tensorflow_backend manual_variable_initialization print_tensor", _SYMBOLIC,
         "use forward and backward of a Layer, a function (y_true, y_pred) as loss, or model.fit"),
        ("is_float_dtype is_int_dtype result_type standardize_dtype", "dtypes are NumPy's",
         "use np.dtype and np.result_type"),
        ("clear_session", "it is in pyrnn.utils", "use pyrnn.utils.clear_session()"),
        ("backend epsilon floatx image_data_format set_floatx set_image_data_format", "it is in pyrnn.config",
         "use pyrnn.config"),
        ("set_epsilon", "it is 1e-7 everywhere", "pass epsilon to the optimizer or the layer"),
    ),
    "tensorflow": (
        ("GradientTape", "layers compute their gradients themselves",
         "use model.fit, or override compute_loss(x, y, y_pred, sample_weight) of the model with pyrnn.ops"),
        ("function", "the training loop is compiled", "leave it out"),
        ("data", "batches come from arrays, generators, PyDataset and timeseries_dataset_from_array",
         "pass one of these to fit"),
        ("config distribute", "everything runs on the CPU", _THREADS),
        ("*", "pyrnn replaces tensorflow.keras only", "use NumPy"),
    ),
}  # fmt: skip
