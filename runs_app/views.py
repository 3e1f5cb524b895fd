"""Pages of projects and runs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_GET, require_POST

import datasets_app.queries
from datasets_app.changes import changes_since
from datasets_app.models import Dataset
from edgewise.errors import Invalid, NotFound, UserError
from edgewise.jobs.models import State
from edgewise.lookup import as_id, as_number
from edgewise.spec.detection import OperatingPoint
from edgewise.spec.run import RunParameters
from edgewise.web.forms import read
from edgewise.web.responses import again, dialog, go, show_or_send, signed_in, user_of, wants_part, workspace_of
from runs_app import charts, forms, previews, queries, services
from runs_app.models import Detection, Preview, Project, Run

GONE = {
    "initial_weights": "The run for the initial weights does not exist any more; choose another.",
    "same_data_as": "The run whose clips were chosen does not exist any more. Optimize again to take them as they are.",
}
"""What is said where a field of the form names a run that was deleted meanwhile."""


@signed_in
@require_GET
def run_list(request: HttpRequest) -> HttpResponse:
    """List projects with their runs."""
    wanted = queries.RunFilter.of(request.GET)
    context = {
        "projects": queries.run_list(workspace_of(request), wanted),
        "wanted": wanted,
        "states": State.choices,
        "orders": [(name, title) for name, (title, _) in queries.ORDERS.items()],
    }
    return render(request, "runs/list.html", context)


@signed_in
@require_GET
def row(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Draw one row of the list anew."""
    return render(request, "runs/row.html", {"run": queries.run_row(workspace_of(request), run_id)})


# --- projects ---------------------------------------------------------------------------------------------------------


@signed_in
@show_or_send
def new_project(request: HttpRequest) -> HttpResponse:
    """Make a project."""
    context = {"title": "Create new project", "verb": "Create", "name": request.POST.get("name", "")}
    if request.method == "GET":
        return dialog(request, "components/rename.html", context)
    try:
        services.create_project(workspace=workspace_of(request), user=user_of(request), name=context["name"])
    except UserError as error:
        return dialog(request, "components/rename.html", context, error)
    return go(request, "runs:list")


@signed_in
@show_or_send
def rename_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    """Give a project another name."""
    project = queries.project(workspace_of(request), project_id)
    context = {"title": "Rename project", "name": request.POST.get("name", project.name)}
    if request.method == "GET":
        return dialog(request, "components/rename.html", context)
    try:
        services.rename_project(project, context["name"])
    except UserError as error:
        return dialog(request, "components/rename.html", context, error)
    return go(request, "runs:list")


@signed_in
@show_or_send
def delete_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    """Delete a project with its runs, after saying so."""
    project = queries.project(workspace_of(request), project_id)
    context = {"project": project, "runs": project.runs.count()}
    if request.method == "GET":
        return dialog(request, "runs/delete_project.html", context)
    try:
        services.delete_project(project)
    except UserError as error:
        return dialog(request, "runs/delete_project.html", context, error)
    messages.success(request, f"The project “{project.name}” was deleted.")
    return go(request, "runs:list")


# --- a new run --------------------------------------------------------------------------------------------------------


@signed_in
@show_or_send
def new_run(request: HttpRequest) -> HttpResponse:
    """Configure a run and queue it: +KWS, then Optimize."""
    workspace = workspace_of(request)
    project = _project(request)
    if project is None:
        messages.info(request, "A run stands in a project. Create one first, then make a run in it.")
        return redirect("runs:list")
    datasets = queries.datasets(workspace)
    if not datasets:
        return render(request, "runs/no_dataset.html", {"project": project})
    if request.method == "GET":
        return _run_form(request, project, datasets, queries.beginning(workspace, request.GET))
    editor = forms.NetworkEditor.read(request.POST)
    typed = queries.NewRun(
        dataset_id=request.POST.get("dataset", ""), name=request.POST.get("name", ""),
        weights=request.POST.get("initial_weights", ""), values=forms.read_run(request.POST, editor),
    )  # fmt: skip
    # Without scripts a button of the editor sends the whole form, which comes back with the change made.
    if "change" in request.POST:
        return _run_form(request, project, datasets, typed, editor)
    try:
        run = services.create_run(
            workspace=workspace, user=user_of(request), project=project, name=typed.name,
            dataset=_dataset(datasets, typed.dataset_id), parameters=typed.values,
            initial_weights=_named(request, "initial_weights"), same_data_as=_named(request, "same_data_as"),
        )  # fmt: skip
    except UserError as error:
        return _run_form(request, project, datasets, typed, editor, error)
    return go(request, "runs:progress", run.pk)


def _project(request: HttpRequest) -> Project | None:
    """The project that a new run shall stand in: the one that is asked for, or the newest."""
    workspace, asked = workspace_of(request), request.GET if request.method == "GET" else request.POST
    return queries.project(workspace, asked["project"]) if "project" in asked else queries.newest_project(workspace)


def _run_form(
    request: HttpRequest, project: Project, datasets: list[Dataset], run: queries.NewRun,
    editor: forms.NetworkEditor | None = None, error: UserError | None = None,
) -> HttpResponse:  # fmt: skip
    workspace, asked = workspace_of(request), request.GET if request.method == "GET" else request.POST
    earlier = queries.find_run(workspace, asked.get("from", ""))
    dataset = _dataset(datasets, run.dataset_id)
    context = {
        "project": project, "datasets": datasets, "dataset": dataset, "name": run.name, "weights": run.weights,
        "error": error, "earlier": earlier, "changes": changes_since(earlier.dataset, earlier) if earlier else None,
        "same_data_as": queries.find_run(workspace, asked.get("same_data_as", "")),
        **_preview(request, dataset, run.values, run.weights, editor, error.fields if error else {}),
    }  # fmt: skip
    return render(request, "runs/new.html", context, status=error.status if error else 200)


@signed_in
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Draw what a run will cost while it is being configured, and what is wrong so far."""
    datasets = queries.datasets(workspace_of(request))
    dataset = _dataset(datasets, request.POST.get("dataset", ""))
    weights = request.POST.get("initial_weights", "")
    editor = forms.NetworkEditor.read(request.POST)
    context = _preview(request, dataset, forms.read_run(request.POST, editor), weights, editor, {})
    redraw = "change" in request.POST or request.POST.get("network.drawn") != editor.drawn
    return render(request, "runs/preview.html", {**context, "live": True, "redraw": redraw, "weights": weights})


def _preview(
    request: HttpRequest,
    dataset: Dataset,
    values: dict[str, Any],
    weights: str,
    editor: forms.NetworkEditor | None,
    errors: dict[str, str],
) -> dict[str, Any]:
    """The form with its defaults for this dataset and network, its cost, and the weights to start from."""
    network = values.get("network", "")
    defaults = services.prefill_run(dataset, network) if network else services.prefill_run(dataset)
    parameters = {**defaults, **values}
    estimate = None
    try:
        estimate = services.estimate(dataset, parameters)
    except Invalid as error:
        errors = {**error.fields, **errors}
    choices = services.initial_weights_choices(workspace_of(request), dataset, network, parameters)
    chosen = next((choice for choice in choices if str(choice.run.pk) == weights), None)
    if chosen and not chosen.compatible:
        errors = {"initial_weights": f"The weights of “{chosen.run.name}” do not fit: {chosen.reason}", **errors}
    form = forms.RunForm(defaults, values, errors, editor=editor, cost=estimate["cost"] if estimate else None)
    texts = {name: field.default_text for name, field in form.fields.items()}
    return {
        "form": form, "estimate": estimate, "choices": choices, "chosen": chosen,
        "unfit": [choice for choice in choices if not choice.compatible and choice != chosen],
        "state": {"errors": errors, "defaults": texts},
    }  # fmt: skip


def _dataset(datasets: list[Dataset], wanted: str) -> Dataset:
    return next((dataset for dataset in datasets if str(dataset.pk) == wanted), datasets[0])


def _named(request: HttpRequest, field: str) -> Run | None:
    """The run that a field of the form names."""
    wanted = request.POST.get(field, "")
    if not wanted:
        return None
    run = queries.find_run(workspace_of(request), wanted)
    if run is None:
        raise Invalid({field: GONE[field]})
    return run


# --- training examples ------------------------------------------------------------------------------------------------


@signed_in
@require_POST
def request_examples(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Make training examples to be heard, with the parameters of the form."""
    dataset = datasets_app.queries.dataset(workspace_of(request), dataset_id)
    run = dataset.runs.filter(pk=as_id(request.POST.get("run", ""))).first()
    step = request.POST.get("step", "")
    try:
        preview = previews.request_preview(
            dataset=dataset, user=user_of(request), step=as_number(step) or 0, same_data_as=run,
            parameters={**(run.parameters if run else {}), **forms.read_examples(request.POST)},
        )  # fmt: skip
    except Invalid as error:
        if not wants_part(request):
            raise
        return render(request, "runs/examples.html", {"error": error}, status=error.status)
    if wants_part(request):
        return _examples(request, preview)
    return redirect(f"{resolve_url('datasets:detail', dataset.pk)}?preview={preview.pk}#examples")


@signed_in
@require_GET
def examples(request: HttpRequest, dataset_id: uuid.UUID, preview_id: uuid.UUID) -> HttpResponse:
    """Show training examples, or how far their making is."""
    return _examples(request, queries.preview(workspace_of(request), dataset_id, preview_id))


def _examples(request: HttpRequest, preview: Preview) -> HttpResponse:
    return render(request, "runs/examples.html", {"preview": preview, "examples": previews.examples(preview)})


# --- a run ------------------------------------------------------------------------------------------------------------


@signed_in
@require_GET
def detail(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Open a run where it is most interesting: its results, or its progress until it has some."""
    run = queries.run(workspace_of(request), run_id)
    return redirect("runs:results" if _has_results(run) else "runs:progress", run.pk)


@signed_in
@require_GET
def head(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Draw the header of a run anew."""
    run = queries.run(workspace_of(request), run_id)
    return render(request, "runs/head.html", {"run": run, "tab": request.GET.get("tab", "")})


@signed_in
@require_GET
def configuration(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show the parameters of a run."""
    run = queries.run(workspace_of(request), run_id)
    form = forms.RunForm({}, run.parameters)
    changes = changes_since(run.dataset, run)
    call = _call(request, run, repeats=bool(changes.clips))
    context = {"run": run, "tab": "configuration", "form": form, "changes": changes, "call": call}
    return render(request, "runs/configuration.html", context)


@signed_in
@require_GET
def progress(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show the curves of a run while they grow."""
    run = queries.run(workspace_of(request), run_id)
    point = queries.newest_training_point(run)
    context = {"run": run, "tab": "progress", "point": point, "log": queries.log(run)}
    return render(request, "runs/progress.html", context)


@signed_in
@require_GET
def progress_chart(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Answer the curves as a figure."""
    run = queries.run(workspace_of(request), run_id)
    return HttpResponse(charts.progress_figure(run, queries.curves(run)), content_type="application/json")


@signed_in
@require_GET
def results(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show how well a run does on the test split, and at its operating point."""
    run = queries.run(workspace_of(request), run_id)
    measured = _detection(run, queries.detection(run), run.operating_point)
    return render(request, "runs/results.html", {**_results(run), **measured})


@signed_in
@show_or_send
def operating_point(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Choose an operating point; before that, draw what another one would cost."""
    run = queries.run(workspace_of(request), run_id)
    if request.method == "GET":
        return _preview_of_point(request, run)
    values = read(OperatingPoint, request.POST)
    try:
        services.set_operating_point(run, values)
    except Invalid as error:
        measured = _detection(run, queries.detection(run), run.operating_point, values, error.fields)
        context = {**_results(run), **measured}
        return render(request, "runs/results.html", context, status=error.status)
    return redirect(f"{resolve_url('runs:results', run.pk)}#operating-point")


def _preview_of_point(request: HttpRequest, run: Run) -> HttpResponse:
    values, errors, point = read(OperatingPoint, request.GET), {}, run.operating_point
    try:
        point = services.operating_point(values)
    except Invalid as error:
        errors = error.fields
    context = _detection(run, queries.require_detection(run), point, values, errors)
    return render(request, "runs/operating_errors.html", {"run": run, "live": True, **context})


@signed_in
@require_GET
def matrix_chart(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Answer the confusion matrix as a figure."""
    run = queries.run(workspace_of(request), run_id)
    figure = charts.matrix_figure(run.labels, queries.require_evaluation(run).confusion)
    return HttpResponse(figure, content_type="application/json")


@signed_in
@require_GET
def detection_chart(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Answer what each operating point costs as a figure."""
    run = queries.run(workspace_of(request), run_id)
    found = queries.require_detection(run)
    figure = charts.detection_figure(found, queries.errors_at(found, run.operating_point))
    return HttpResponse(figure, content_type="application/json")


@signed_in
@require_GET
def clips(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show the test clips behind a cell of the matrix."""
    run = queries.run(workspace_of(request), run_id)
    label, predicted = (_index(request.GET.get(name, ""), run) for name in ("label", "predicted"))
    context = {
        "run": run, "label": run.labels[label], "predicted": run.labels[predicted],
        "predictions": queries.predictions(run, label, predicted),
    }  # fmt: skip
    return render(request, "runs/clips.html", context)


@signed_in
@require_POST
def cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Stop a run. Where scripts run, its live event redraws the page."""
    services.cancel_run(queries.run(workspace_of(request), run_id))
    return HttpResponse(status=204) if wants_part(request) else redirect("runs:progress", run_id)


@signed_in
@require_POST
def resume(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Let a run go on from its last checkpoint."""
    run = queries.run(workspace_of(request), run_id)
    services.resume_run(run)
    return redirect("runs:progress", run.pk)


@signed_in
@show_or_send
def rename(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Give a run another name."""
    run = queries.run(workspace_of(request), run_id)
    context = {"title": "Rename run", "name": request.POST.get("name", run.name)}
    if request.method == "GET":
        return dialog(request, "components/rename.html", context)
    try:
        services.rename_run(run, context["name"])
    except UserError as error:
        return dialog(request, "components/rename.html", context, error)
    return again(request, "runs:detail", run.pk)


@signed_in
@show_or_send
def delete(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Delete a run, after saying so."""
    run = queries.run(workspace_of(request), run_id)
    if request.method == "GET":
        return dialog(request, "runs/delete.html", {"run": run})
    try:
        services.delete_run(run)
    except UserError as error:
        return dialog(request, "runs/delete.html", {"run": run}, error)
    messages.success(request, f"The run “{run.name}” was deleted.")
    return go(request, "runs:list")


# --- helpers ----------------------------------------------------------------------------------------------------------


def _has_results(run: Run) -> bool:
    return hasattr(run, "evaluation")


def _results(run: Run) -> dict[str, Any]:
    context: dict[str, Any] = {"run": run, "tab": "results"}
    if _has_results(run):
        context |= {
            "figures": queries.figures(run), "finding": queries.finding(run), "confused": queries.most_confused(run),
        }  # fmt: skip
    return context


def _detection(
    run: Run, found: Detection | None, point: OperatingPoint,
    values: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What an operating point costs, and the form to choose another one; nothing where nothing was measured."""
    if found is None:
        return {}
    form = forms.operating_point_form(found, values or point.model_dump(), errors)
    defaults = {name: field.default_text for name, field in form.fields.items()}
    return {
        "detection": found, "at": queries.errors_at(found, point), "form": form, "saved": point == run.operating_point,
        "state": {"errors": dict(errors or {}), "defaults": defaults},
    }  # fmt: skip


def _index(text: str, run: Run) -> int:
    index = as_number(text)
    if index is None or index >= len(run.labels):
        raise NotFound("label")
    return index


def _call(request: HttpRequest, run: Run, *, repeats: bool) -> dict[str, Any]:
    """The REST call that would make the same run, on the same clips where it `repeats` what was edited since."""
    body: dict[str, Any] = {
        "project": str(run.project_id), "name": f"{run.name} again", "dataset": str(run.dataset_id),
        "parameters": {name: value for name, value in run.parameters.items() if value != _default(name)},
    }  # fmt: skip
    if repeats:
        body["same_data_as"] = str(run.pk)
    if run.initial_weights_id:
        body["initial_weights"] = str(run.initial_weights_id)
    return {"address": request.build_absolute_uri("/api/v1/runs"), "body": body}


def _default(name: str) -> Any:
    field = RunParameters.model_fields.get(name)
    return field.default if field else None
