"""Training and search see the same predictor; the joiners are what they say."""

import pytest
import torch

from mode_ssm.config import AdditiveJoinerConfig, LSTMPredictorConfig, StatelessPredictorConfig, TanhJoinerConfig
from mode_ssm.labels import T15, Labels
from mode_ssm.models.kinds import build_joiner, build_predictor

CONFIGS = [
    StatelessPredictorConfig(width=8, context=1),
    StatelessPredictorConfig(width=8, context=2),
    StatelessPredictorConfig(width=8, context=4),
    LSTMPredictorConfig(width=8),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}{getattr(c, 'context', '')}")
def test_steps_give_what_forward_gives(config):
    torch.manual_seed(0)
    predictor = build_predictor(config, T15).double().eval()
    labels = torch.randint(1, len(T15), (3, 6))
    whole = predictor(labels)
    assert whole.shape == (3, 7, 8)
    state, previous = predictor.initial_state(3), torch.zeros(3, dtype=torch.int64)
    for u in range(7):
        output, state = predictor.step(previous, state)
        torch.testing.assert_close(output, whole[:, u], rtol=1e-12, atol=1e-12)
        assert all(part.shape[0] == 3 for part in state)
        previous = labels[:, u] if u < 6 else previous


def test_a_stateless_predictor_forgets_what_is_beyond_its_context():
    predictor = build_predictor(StatelessPredictorConfig(width=8, context=2), T15).eval()
    one, other = predictor(torch.tensor([[5, 6, 7]])), predictor(torch.tensor([[9, 6, 7]]))
    assert torch.equal(one[0, 3], other[0, 3])
    assert not torch.equal(one[0, 2], other[0, 2])


def test_the_tanh_joiner_is_its_formula():
    joiner = build_joiner(TanhJoinerConfig(width=6), 4, 5, classes=7)
    encoder, predictor = torch.randn(2, 3, 4), torch.randn(2, 7, 5)
    e, p = joiner.encoder_projection(encoder), joiner.predictor_projection(predictor)
    expected = torch.tanh(e[:, :, None] + p[:, None]) @ joiner.output.weight.T + joiner.output.bias
    torch.testing.assert_close(joiner.logits(e[:, :, None], p[:, None]), expected)


def test_the_additive_joiner_meets_at_the_classes():
    joiner = build_joiner(AdditiveJoinerConfig(), 4, 5, classes=7)
    e, p = joiner.encoder_projection(torch.randn(2, 4)), joiner.predictor_projection(torch.randn(2, 5))
    assert e.shape == p.shape == (2, 7)
    assert torch.equal(joiner.logits(e, p), e + p)


@pytest.mark.parametrize("config", CONFIGS[-2:], ids=lambda c: c.kind)
def test_predictors_run_under_autocast_on_any_cpu(config):
    predictor, labels = build_predictor(config, T15).eval(), torch.tensor([[5, 6, 7]])
    plain = predictor(labels)
    with torch.autocast("cpu", torch.bfloat16):
        whole = predictor(labels)
        step, _ = predictor.step(torch.tensor([0]), predictor.initial_state(1))
    torch.testing.assert_close(whole.float(), plain, rtol=0.02, atol=0.02)
    torch.testing.assert_close(step.float(), plain[:, 0], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("config", CONFIGS[-3:], ids=lambda c: f"{c.kind}{getattr(c, 'context', '')}")
@pytest.mark.parametrize("order", [[3, 0, 1, 2], [2, 3, 0, 1]], ids=["last", "middle"])
def test_predictors_start_from_the_blank_whatever_its_number(config, order):
    symbols = ["_", "a", "b", "c"]  # the blank first
    plain = build_predictor(config, Labels(tuple(symbols))).eval()
    other = build_predictor(config, Labels(tuple(symbols[order.index(n)] for n in range(4)), blank=order[0])).eval()
    other.load_state_dict(
        plain.state_dict() | {"embedding.weight": plain.embedding.weight[torch.tensor(order).argsort()]}
    )
    labels = torch.tensor([[1, 3, 2]])
    expected = plain(labels)
    torch.testing.assert_close(other(torch.tensor(order)[labels]), expected)
    first, _ = other.step(torch.tensor([order[0]]), other.initial_state(1))
    torch.testing.assert_close(first, expected[:, 0])
