// Attention.
#include "arrays.hpp"

namespace pyrnn {
namespace {

constexpr const char* kQueryLetters = "(B, Q, N, D)";
constexpr const char* kWeightLetters = "(B, N, Q, V)";

Shape weights_shape(const Shape& query, const Shape& key) { return {query[0], query[2], query[1], key[1]}; }

// Rejects results that cannot be addressed: an empty array may have long axes.
void require_addressable(const Shape& shape) {
    Index bytes = sizeof(double);
    for (const Index length : shape)
        if (__builtin_mul_overflow(bytes, length > 0 ? length : 1, &bytes))
            throw py::value_error("query, key and value are too long for results of shape " + text(shape));
}

AttentionMask mask_of(const py::handle& object, const Shape& weights) {
    const py::array a = array_of(object, "each mask");
    const Shape shape = shape_of(a);
    bool fits = shape.size() == weights.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == weights[i] || shape[i] == 1;
    if (!fits)
        throw py::value_error("each mask must have shape (B, N, Q, V) = " + text(weights) +
                              ", or 1 for some of these, got " + text(shape));
    const auto* at = reinterpret_cast<const unsigned char*>(pointer<bool>(a, "each mask", shape, kWeightLetters));
    // 0 along an axis of length 1, and the distance of elements along the others.
    Index strides[4], stride = 1;
    for (std::size_t i = 4; i-- > 0; stride *= shape[i]) strides[i] = shape[i] == 1 ? 0 : stride;
    return {at, strides[0], strides[1], strides[2], strides[3]};
}

template <class T>
Attention<T> problem_of(const py::array& query, const py::handle& key_object, const py::handle& value_object,
                        const py::object& additive, double scale, const py::object& factors) {
    const py::array key = array_of(key_object, "key"), value = array_of(value_object, "value");
    require_rank(query, 4, "query", kQueryLetters);
    require_rank(key, 4, "key", "(B, V, N, D)");
    require_rank(value, 4, "value", "(B, V, N, E)");
    Attention<T> p{};
    p.batch = query.shape(0), p.queries = query.shape(1), p.heads = query.shape(2), p.depth = query.shape(3);
    p.values = key.shape(1), p.width = value.shape(3);
    require_positive(p.heads, "the number of heads");
    require_positive(p.depth, "the depth of query");
    require_positive(p.width, "the width of value");
    const Shape weights = weights_shape(shape_of(query), shape_of(key));
    require_addressable(weights);
    require_addressable({p.batch, p.queries, p.heads, p.width});
    p.query = pointer<T>(query, "query", shape_of(query), kQueryLetters);
    p.key = pointer<T>(key, "key", {p.batch, p.values, p.heads, p.depth}, "(B, V, N, D)");
    p.value = pointer<T>(value, "value", {p.batch, p.values, p.heads, p.width}, "(B, V, N, E)");
    p.additive = pointer<T>(additive, "additive", {p.depth}, "(D,)", true);
    p.scale = static_cast<T>(scale);
    p.factors = pointer<T>(factors, "factors", weights, kWeightLetters, true);
    return p;
}

template <class T>
py::object forward(const py::array& query, const py::object& key, const py::object& value, const py::object& additive,
                   double scale, const py::object& mask_objects, bool causal, double penalty, bool zero_unread,
                   const py::object& factors, bool need_weights, const Workspace& workspace) {
    Attention<T> p = problem_of<T>(query, key, value, additive, scale, factors);
    const Shape shape = {p.batch, p.heads, p.queries, p.values};
    const py::tuple masks = tuple_of(mask_objects, "masks");
    if (masks.size() > kMostScoreMasks)
        throw py::value_error("there must be at most " + std::to_string(kMostScoreMasks) + " masks, got " +
                              std::to_string(masks.size()));
    for (const py::handle mask : masks) p.masks[p.mask_count++] = mask_of(mask, shape);
    p.penalty = static_cast<T>(penalty), p.causal = causal, p.zero_unread = zero_unread;
    T *out = nullptr, *saved = nullptr;
    const py::object y = new_array({p.batch, p.queries, p.heads, p.width}, true, out, workspace);
    const py::object weights = new_array(shape, need_weights, saved, workspace);
    {
        const WithoutGil release;
        attention_forward(p, out, saved);
    }
    return py::make_tuple(y, weights);
}

template <class T>
py::object backward(const py::array& query, const py::object& key, const py::object& value, const py::object& weights,
                    const py::object& dy, const py::object& d_weights, const py::object& additive, double scale,
                    const py::object& factors, bool need_d_scale, const Workspace& workspace) {
    const Attention<T> p = problem_of<T>(query, key, value, additive, scale, factors);
    const Shape shape = {p.batch, p.heads, p.queries, p.values};
    const T* const saved = pointer<T>(weights, "weights", shape, kWeightLetters);
    AttentionGradients<T> g{};
    g.dy = pointer<T>(dy, "dy", {p.batch, p.queries, p.heads, p.width}, "(B, Q, N, E)");
    g.d_weights = pointer<T>(d_weights, "d_weights", shape, kWeightLetters, true);
    const py::object d_query = new_array(shape_of(query), true, g.d_query, workspace);
    const py::object d_key = new_array({p.batch, p.values, p.heads, p.depth}, true, g.d_key, workspace);
    const py::object d_value = new_array({p.batch, p.values, p.heads, p.width}, true, g.d_value, workspace);
    const py::object d_additive = new_array({p.depth}, p.additive != nullptr, g.d_additive, workspace);
    T d_scale = 0;
    if (need_d_scale) g.d_scale = &d_scale;
    {
        const WithoutGil release;
        attention_backward(p, saved, g);
    }
    return py::make_tuple(d_query, d_key, d_value, d_additive,
                          need_d_scale ? py::object(py::float_(static_cast<double>(d_scale))) : py::object(py::none()));
}

}  // namespace

void bind_attention(py::module_& m) {
    m.def(
        "attention_forward",
        [](const py::object& query, const py::object& key, const py::object& value, const py::object& additive,
           double scale, const py::object& masks, bool causal, double penalty, bool zero_unread,
           const py::object& factors, bool need_weights, const Workspace& workspace) {
            const py::array a = array_of(query, "query");
            return is_double(a, "query") ? forward<double>(a, key, value, additive, scale, masks, causal, penalty,
                                                           zero_unread, factors, need_weights, workspace)
                                         : forward<float>(a, key, value, additive, scale, masks, causal, penalty,
                                                          zero_unread, factors, need_weights, workspace);
        },
        py::arg("query"), py::arg("key"), py::arg("value"), py::kw_only(), py::arg("additive"), py::arg("scale"),
        py::arg("masks"), py::arg("causal"), py::arg("penalty"), py::arg("zero_unread"), py::arg("factors"),
        py::arg("need_weights"), py::arg("workspace"));
    m.def(
        "attention_backward",
        [](const py::object& query, const py::object& key, const py::object& value, const py::object& weights,
           const py::object& dy, const py::object& d_weights, const py::object& additive, double scale,
           const py::object& factors, bool need_d_scale, const Workspace& workspace) {
            const py::array a = array_of(query, "query");
            return is_double(a, "query") ? backward<double>(a, key, value, weights, dy, d_weights, additive, scale,
                                                            factors, need_d_scale, workspace)
                                         : backward<float>(a, key, value, weights, dy, d_weights, additive, scale,
                                                           factors, need_d_scale, workspace);
        },
        py::arg("query"), py::arg("key"), py::arg("value"), py::arg("weights"), py::arg("dy"), py::arg("d_weights"),
        py::kw_only(), py::arg("additive"), py::arg("scale"), py::arg("factors"), py::arg("need_d_scale"),
        py::arg("workspace"));
}

}  // namespace pyrnn
