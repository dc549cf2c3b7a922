# terraform init && terraform test: needs the providers' schemas, but no account and no network beyond that.
mock_provider "random" {
  mock_resource "random_password" {
    defaults = { result = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

mock_provider "runpod" {
  mock_resource "runpod_pod" {
    defaults = { cost_per_hr = 0.5 }
  }
}

variables {
  image_name   = "registry.example/gpu-watchdog:0.1.0"
  gpu_type_ids = ["NVIDIA GeForce RTX 4090"]
}

run "pods_find_each_other" {
  variables {
    worker_count = 2
  }

  assert {
    condition     = runpod_pod.head.env["NODE_ROLE"] == "head" && !contains(keys(runpod_pod.head.env), "HEAD_NODE_IP")
    error_message = "The head is a head."
  }
  assert {
    condition     = [for pod in runpod_pod.worker : pod.env["NODE_NAME"]] == ["worker1", "worker2"]
    error_message = "Workers have names that can be read."
  }
  assert {
    condition = alltrue([
      for pod in runpod_pod.worker : pod.env["HEAD_NODE_IP"] == "${runpod_pod.head.id}.runpod.internal"
    ])
    error_message = "Workers know the head by its internal name."
  }
  assert {
    condition = alltrue([
      for pod in concat([runpod_pod.head], runpod_pod.worker) : pod.global_networking && pod.ports == tolist(["22/tcp"])
    ])
    error_message = "All pods are on the internal network, and only SSH is on the internet."
  }
  assert {
    condition = (
      length(output.munge_key) == 64 &&
      alltrue([for pod in runpod_pod.worker : pod.env["MUNGE_KEY"] == runpod_pod.head.env["MUNGE_KEY"]])
    )
    error_message = "All pods have the same generated key."
  }
  assert {
    condition = (
      output.cost_per_hour == 1.5 && output.slurm_metrics_url == "http://${output.dns_names.head}:9341/metrics"
    )
    error_message = "The outputs speak of all pods."
  }
  assert {
    condition = output.worker_ssh_info == {
      worker1 = "runpodctl ssh info ${runpod_pod.worker[0].id}"
      worker2 = "runpodctl ssh info ${runpod_pod.worker[1].id}"
    }
    error_message = "Every pod can be reached by SSH."
  }
}

run "a_secret_stays_out_of_the_state" {
  variables {
    munge_key_secret_name = "munge_key"
    worker_count          = 0
  }

  assert {
    condition     = runpod_pod.head.env["MUNGE_KEY"] == "{{ RUNPOD_SECRET_munge_key }}"
    error_message = "The pods get the reference."
  }
  assert {
    condition     = output.munge_key == null && length(random_password.munge_key) == 0
    error_message = "No key is made or shown."
  }
}

run "own_key_and_environment" {
  variables {
    munge_key      = "fedcba9876543210fedcba9876543210"
    ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGaHnYyvbO0zxlmB0aRFQXFvTPnnDyYsYAzSSGb8vDQm me"
    env            = { PARTITION_NAME = "train" }
  }

  assert {
    condition = runpod_pod.head.env == tomap({
      NODE_ROLE      = "head"
      NODE_NAME      = "head"
      CLUSTER_NAME   = "gpu-watchdog"
      MUNGE_KEY      = "fedcba9876543210fedcba9876543210"
      PUBLIC_KEY     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGaHnYyvbO0zxlmB0aRFQXFvTPnnDyYsYAzSSGb8vDQm me"
      PARTITION_NAME = "train"
    })
    error_message = "The head's environment is what was asked for."
  }
}

run "private_ports_stay_private" {
  command = plan
  variables {
    ports = ["22/tcp", "6817/tcp"]
  }
  expect_failures = [var.ports]
}

run "exporters_stay_private" {
  command = plan
  variables {
    ports = ["9400/http"]
  }
  expect_failures = [var.ports]
}

run "ports_are_ports" {
  command = plan
  variables {
    ports = ["06817/tcp"]
  }
  expect_failures = [var.ports]
}

run "reserved_environment" {
  command = plan
  variables {
    env = { MUNGE_KEY = "x" }
  }
  expect_failures = [var.env]
}

run "a_file_is_no_public_key" {
  command = plan
  variables {
    ssh_public_key = "~/.ssh/id_ed25519.pub"
  }
  expect_failures = [var.ssh_public_key]
}

run "words_of_slurm" {
  command = plan
  variables {
    cluster_name = "Default"
  }
  expect_failures = [var.cluster_name]
}

run "one_source_of_the_key" {
  command = plan
  variables {
    munge_key             = "fedcba9876543210fedcba9876543210"
    munge_key_secret_name = "munge_key"
  }
  expect_failures = [var.munge_key_secret_name]
}

run "a_reference_instead_of_a_name" {
  command = plan
  variables {
    munge_key_secret_name = "{{ RUNPOD_SECRET_munge_key }}"
  }
  expect_failures = [var.munge_key_secret_name]
}

run "a_key_that_can_be_guessed" {
  command = plan
  variables {
    munge_key = "0123456789abcdef               "
  }
  expect_failures = [terraform_data.pod]
}

run "a_reference_is_no_key" {
  command = plan
  variables {
    munge_key = "{{ RUNPOD_SECRET_a_rather_long_name }}"
  }
  expect_failures = [terraform_data.pod]
}

run "more_pods_than_slurm_takes" {
  command = plan
  variables {
    worker_count = 100
  }
  expect_failures = [var.worker_count]
}

run "a_volume_without_its_data_center" {
  command = plan
  variables {
    network_volume_id = "agv6w2qcg7"
  }
  expect_failures = [var.network_volume_id]
}

run "a_volume_in_its_data_center" {
  command = plan
  variables {
    network_volume_id = "agv6w2qcg7"
    data_center_ids   = ["EU-RO-1"]
  }
}

run "no_name_for_a_cluster" {
  command = plan
  variables {
    cluster_name = "my cluster"
  }
  expect_failures = [var.cluster_name]
}
