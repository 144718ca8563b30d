import pytest
import torch
import torch.nn.functional as F

from mode_ssm.models.pointwise import softsign


def test_value_and_gradient_are_those_of_pytorch():
    values = torch.cat([torch.randn(1000), torch.tensor([0.0, -0.0, 1e-30, 1e6, -3e38])])
    weights = torch.randn(values.shape)
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    (softsign(ours) * weights).sum().backward()
    (F.softsign(theirs) * weights).sum().backward()
    assert torch.allclose(softsign(values), F.softsign(values), rtol=1e-6, atol=1e-7)
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-6, atol=1e-7)


def test_the_gradient_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(softsign, torch.randn(4, 5, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_stays_visible(bad):
    assert softsign(torch.tensor([1.0, bad])).isnan().tolist() == [False, True]
