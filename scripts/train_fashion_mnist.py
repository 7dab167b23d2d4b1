"""Trains the two networks of models/ on Fashion-MNIST from scratch and exports them to ONNX (opset 17).

    python scripts/train_fashion_mnist.py /usr/share/datasets/fashion-mnist OUT EPOCHS

Wants PyTorch with CUDA, numpy and onnxruntime; the networks of models/ are of 30 epochs.
"""

import gzip
import os
import sys
import time

import numpy as np
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN, STD = 0.2860, 0.3530
DEVICE = "cuda"


def read(directory, name, offset):
    with gzip.open(f"{directory}/{name}") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def load(directory, part):
    images = read(directory, f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read(directory, f"{part}-labels-idx1-ubyte.gz", 8)
    return torch.tensor(images).float().to(DEVICE) / 255, torch.tensor(labels).long().to(DEVICE)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.c1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(outputs)
        self.c2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(outputs)
        self.sc = None
        if inputs != outputs or stride != 1:
            self.sc = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        h = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
        return F.relu(h + (x if self.sc is None else self.sc(x)))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.st = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        blocks, inputs = [], 16
        for outputs, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
            blocks.append(ResidualBlock(inputs, outputs, stride))
            inputs = outputs
        self.l = nn.Sequential(*blocks)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.l(self.st(x)).mean((2, 3)))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.n1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.o = nn.Linear(width, width)
        self.n2 = nn.LayerNorm(width)
        self.f1 = nn.Linear(width, 4 * width)
        self.f2 = nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        size = width // self.heads
        q, k, v = self.qkv(self.n1(x)).reshape(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q @ k.transpose(-1, -2)) * size**-0.5
        x = x + self.o((a.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.f2(F.gelu(self.f1(self.n2(x))))


class VisionTransformer(nn.Module):
    def __init__(self, width=96, depth=6, heads=4):
        super().__init__()
        self.p = nn.Conv2d(1, width, 4, 4)
        self.pos = nn.Parameter(torch.randn(1, 49, width) * 0.02)
        self.b = nn.Sequential(*[TransformerBlock(width, heads) for _ in range(depth)])
        self.n = nn.LayerNorm(width)
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        x = self.p(x).flatten(2).transpose(1, 2) + self.pos
        return self.fc(self.n(self.b(x)).mean(1))


def augment(images):
    """Mirrored by halves; the whole batch shifted by up to two pixels, and at times with a hole of 6 x 6."""
    mirrored = torch.rand(len(images), device=DEVICE) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    padded = F.pad(images, (2, 2, 2, 2))
    top, left = torch.randint(0, 5, (2,), device=DEVICE).tolist()
    images = padded[:, :, top : top + 28, left : left + 28].clone()
    i, j = torch.randint(0, 24, (2,)).tolist()
    if torch.rand(1).item() < 0.5:
        images[:, :, i : i + 6, j : j + 6] = 0
    return images


def train(net, name, rate, decay, epochs, training, test, out, batch=256):
    images, labels = training
    net = net.to(DEVICE)
    groups = [
        dict(params=[p for p in net.parameters() if p.ndim > 1], weight_decay=decay),
        dict(params=[p for p in net.parameters() if p.ndim <= 1], weight_decay=0),
    ]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    steps = len(images) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, epochs * steps, pct_start=0.15)
    start = time.time()
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(images), device=DEVICE)
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            x = (augment(images[chosen]) - MEAN) / STD
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(net(x), labels[chosen], label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        print(name, "epoch", epoch + 1, f"loss {loss.item():.3f} {time.time() - start:.0f}s", flush=True)
    net = net.cpu().float().eval()
    path = f"{out}/{name}.onnx"
    torch.onnx.export(
        net,
        torch.zeros(1, 1, 28, 28),
        path,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(path)
    x = ((test[0] - MEAN) / STD).cpu().numpy()
    logits = np.concatenate([session.run(None, {"input": x[i : i + 1000]})[0] for i in range(0, len(x), 1000)])
    correct = (logits.argmax(1) == test[1].cpu().numpy()).mean()
    print(name, "accuracy", correct, "parameters", sum(p.numel() for p in net.parameters()), "bytes", os.path.getsize(path))


def main():
    directory, out, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(0)
    training, test = load(directory, "train"), load(directory, "t10k")
    train(ResNet20(), "resnet20-fashion-mnist", 4e-3, 5e-2, epochs, training, test, out)
    train(VisionTransformer(), "vit-fashion-mnist", 1e-3, 5e-2, epochs, training, test, out)


main()
