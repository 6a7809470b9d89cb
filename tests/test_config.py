import jax.numpy as jnp
import optax
import pytest
from ml_collections import ConfigDict

from fdl import config as configs
from fdl import losses, models
from fdl.errors import UserError


def config():
    given = ConfigDict()
    given.num_epochs = 3
    given.rate = 0.5
    given.size = 4
    given.sizes = (3, 4)
    given.on = True
    given.model = {"name": "MLP", "deep": {"width": 8}, "activation": "relu"}
    return configs.complete(given)


@pytest.mark.parametrize(
    "assignment, key, value",
    [
        ("rate=1", "rate", 1.0),
        ("rate=1e-3", "rate", 1e-3),
        ("size=1e3", "size", 1000),
        ("size=-2", "size", -2),
        ("on=false", "on", False),
        ("on=True", "on", True),
        ("sizes=(1,2,3)", "sizes", (1, 2, 3)),
        ("sizes=1,2", "sizes", (1, 2)),
        ("sizes=[5]", "sizes", (5,)),
        ("sizes=7", "sizes", (7,)),
        ("model.name=CNN", "model.name", "CNN"),
        ("model.deep.width=9", "model.deep.width", 9),
        ("model.dropout=0.5", "model.dropout", 0.5),
        ("model.norm=BatchNorm", "model.norm", "BatchNorm"),
        ("model.norm=none", "model.norm", None),
        ("model.activation.slope=0.1", "model.activation.name", "relu"),
        ("model.activation.slope=0.1", "model.activation.slope", 0.1),
        ("num_epochs=none", "num_epochs", None),
        ("num_steps=5", "num_steps", 5),
        ("log_every=10", "log_every", "10"),
        ("eval_every=2 epochs", "eval_every", "2 epochs"),
    ],
)
def test_an_override_is_read_as_the_type_of_its_key(assignment, key, value):
    changed = configs.override(config(), [assignment])
    for part in key.split("."):
        changed = changed[part]
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("rat=1", ["'rat'", "'rate'"]),
        ("model.deep.widht=1", ["'model.deep.widht'", "'width'"]),
        ("rate=fast", ["config.rate", "float", "'fast'"]),
        ("size=1.5", ["config.size", "int", "'1.5'"]),
        ("size=none", ["config.size", "int", "'none'"]),
        ("size=true", ["config.size", "int"]),
        ("size={[]: 1}", ["config.size", "int", "'{[]: 1}'"]),
        ("on=1", ["config.on", "bool", "'1'"]),
        ("num_epochs=soon", ["config.num_epochs", "'soon'"]),
        ("num_steps=1.5", ["config.num_steps", "'1.5'"]),
        ("rate", ["--config.rate=VALUE"]),
        ("rate.x=1", ["config.rate", "'x'"]),
        ("model.name.x=1", ["config.model.name", "'x'"]),
        ("model=5", ["config.model", "model.name"]),
    ],
)
def test_a_wrong_override_is_answered_with_what_was_expected(assignment, words):
    with pytest.raises(UserError) as error:
        configs.override(config(), [assignment])
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    "period, steps",
    [
        ("100 steps", 100),
        ("7", 7),
        ("1 step", 1),
        ("1 epoch", 45),
        ("0.5 epochs", 22),
        ("never", 0),
        ("0", 0),
    ],
)
def test_periods_count_steps_or_epochs(period, steps):
    assert configs.every(period, 45, "log_every") == steps


@pytest.mark.parametrize(
    "period", ["", "often", "-1 steps", "1.5 steps", "2 hours", "inf", "1e999 epochs"]
)
def test_a_period_that_is_none_is_an_error(period):
    with pytest.raises(UserError, match=r"config\.log_every"):
        configs.every(period, 45, "log_every")


def test_epochs_need_a_data_set():
    with pytest.raises(UserError, match="no epochs"):
        configs.every("1 epoch", None, "log_every")


@pytest.mark.parametrize(
    "steps, epochs, expected",
    [(10, None, 10), (None, 2, 90), (1, None, 1)],
)
def test_n_steps_are_n_steps_and_n_epochs_n_epochs(steps, epochs, expected):
    given = configs.base()
    given.num_steps, given.num_epochs = steps, epochs
    assert configs.num_steps(given, 45) == expected


@pytest.mark.parametrize("steps, epochs", [(None, None), (1, 1), (0, None), (None, -1)])
def test_the_length_of_a_run_is_said_exactly_once(steps, epochs):
    given = configs.base()
    given.num_steps, given.num_epochs = steps, epochs
    with pytest.raises(UserError, match=r"num_(steps|epochs)"):
        configs.num_steps(given, 45)


def test_make_calls_what_a_config_names():
    made = configs.make(optax, {"name": "sgd", "learning_rate": 0.5})
    updates, _ = made.update(2.0, made.init(0.0))
    assert updates == -1.0


def test_an_activation_is_named_as_in_jax():
    spec = {"name": "MLP", "activation": "leaky_relu"}
    made = configs.make(models, spec, hidden_sizes=(3,), num_outputs=2)
    assert made.activation(-1.0) == jnp.float32(-0.01)
    with pytest.raises(UserError, match=r"no activation 'leaky'. Did you .*leaky_relu"):
        configs.make(models, spec | {"activation": "leaky"}, num_outputs=2)


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"name": "adamm"}, ["optax", "'adamm'", "'adam'"]),
        ({"name": "adam", "learning_rat": 1.0}, ["'learning_rat'", "'learning_rate'"]),
        ({"name": "adam"}, ["optax.adam", "learning_rate"]),
        ({"learning_rate": 1.0}, ["name"]),
    ],
)
def test_make_answers_wrong_names_with_near_ones(spec, words):
    with pytest.raises(UserError) as error:
        configs.make(optax, spec)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    "spec, expected",
    [
        ({"name": "vit_b16", "num_class": 3}, "no 'num_class'. Did .* 'num_classes'?"),
        ({"name": "linear", "num_output": 3}, "no 'num_output'. Did .* 'num_outputs'?"),
        # It is what makes the network this one.
        ({"name": "vit_b16", "patch_size": 8}, "vit_b16 takes no 'patch_size'"),
    ],
)
def test_attributes_of_the_network_that_is_made_have_near_names(spec, expected):
    with pytest.raises(UserError, match=expected):
        configs.make(models, spec)
    assert configs.make(models, {"name": "vit_b16", "dropout": 0.5}).dropout == 0.5


def test_a_partial_waits_for_its_first_arguments():
    loss = configs.partial(losses, {"name": "huber"}, delta=2.0)
    assert loss(jnp.array(5.0), jnp.array(0.0)) == 2.0 * (5.0 - 1.0)
    assert configs.partial(losses, ConfigDict({"name": "hinge"})).func is losses.hinge


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"name": "crossentropy"}, ["fdl.losses", "'crossentropy'", "'cross_entropy'"]),
        ({"name": "binary"}, ["'binary'. Did you mean 'binary_focal'?"]),
        ({"name": "huber", "dleta": 1.0}, ["fdl.losses.huber", "'dleta'", "'delta'"]),
        ({"name": "quantile"}, ["fdl.losses.quantile", "'level'"]),
        ({"delta": 1.0}, ["name"]),
    ],
)
def test_a_partial_answers_wrong_names_when_it_is_made(spec, words):
    with pytest.raises(UserError) as error:
        configs.partial(losses, spec)
    assert all(word in str(error.value) for word in words), error.value


def test_periods_in_steps_may_be_numbers():
    given = ConfigDict({"num_steps": 1, "log_every": 10, "save_every": 0})
    whole = configs.complete(given)
    assert (whole.log_every, whole.save_every) == ("10 steps", "never")


@pytest.mark.parametrize(
    "key, value, bounds",
    [
        ("seed", -1, "0 to 9223372036854775807"),
        ("seed", "3", "0 to"),
        ("num_steps", 2**31, "1 to 2147483647"),
        ("num_steps", 2.5, "1 to"),
        ("num_steps", True, "1 to"),
        ("num_epochs", 10**18, "1 to 2147483647"),
        ("steps_per_call", None, "1 to 1000000"),
        ("keep", float("nan"), "1 to"),
        ("keep", 10**400, "1 to"),
    ],
)
def test_integers_out_of_range_are_one_line(key, value, bounds):
    given = configs.complete(ConfigDict({key: value}))
    with pytest.raises(UserError) as error:
        configs.check_ranges(given)
    assert str(error.value).startswith(f"config.{key}={value!r}: expected an integer ")
    assert f"from {bounds}" in str(error.value)


def test_a_float_may_be_an_integer_and_epochs_count_as_steps():
    given = configs.complete(ConfigDict({"num_epochs": 1e3}))
    assert configs.check_ranges(given).num_epochs == 1000
    assert type(given.num_epochs) is int and configs.num_steps(given, 10**6) == 10**9
    with pytest.raises(UserError, match=r"num_epochs=1000: expected an .* to 715$"):
        configs.num_steps(given, 3 * 10**6)
